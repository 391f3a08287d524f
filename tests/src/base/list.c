/* SPDX-License-Identifier: MIT */
/* List: order, removal at both ends and in the middle, membership. */
#include "src/base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

struct item {
	char name;
	struct weft__link link;
};

static struct weft__list static_list = WEFT__LIST_INIT(static_list);

/* Asserts that the list has these names in this order, also backwards. */
static void assert_names(const struct weft__list *list, const char *names)
{
	size_t count = 0;
	struct weft__link *before = NULL;

	for (struct weft__link *link = weft__list_first(list); link;
	     link = weft__list_next(list, link)) {
		assert_int_equal(container_of(link, struct item, link)->name, names[count]);
		assert_true(weft__link_is_in_list(link));
		assert_true(!before || link->prev == before);
		before = link;
		count++;
	}
	assert_int_equal(names[count], '\0');
	assert_ptr_equal(weft__list_last(list), before);
	assert_int_equal(weft__list_is_empty(list), count == 0);
}

static void test_list_keeps_its_order(void **state)
{
	struct weft__list list;
	struct item a = {.name = 'a'}, b = {.name = 'b'}, c = {.name = 'c'}, d = {.name = 'd'};

	(void)state;
	weft__list_init(&list);
	assert_names(&list, "");
	weft__list_push_last(&list, &b.link);
	assert_names(&list, "b");
	weft__list_push_last(&list, &d.link);
	weft__list_push_first(&list, &a.link);
	weft__list_insert_after(&b.link, &c.link);
	assert_names(&list, "abcd");
}

static void test_list_loses_any_link(void **state)
{
	struct item items[] = {{.name = 'a'}, {.name = 'b'}, {.name = 'c'}};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		weft__list_push_last(&static_list, &items[i].link);
	assert_names(&static_list, "abc");
	weft__list_remove(&items[1].link);
	assert_false(weft__link_is_in_list(&items[1].link));
	assert_names(&static_list, "ac");
	weft__list_remove(&items[0].link);
	assert_names(&static_list, "c");
	weft__list_push_first(&static_list, &items[1].link);
	weft__list_remove(&items[2].link);
	assert_names(&static_list, "b");
	weft__list_remove(&items[1].link);
	assert_names(&static_list, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list_keeps_its_order),
		cmocka_unit_test(test_list_loses_any_link),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
