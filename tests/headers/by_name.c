/* SPDX-License-Identifier: MIT */
/*
 * The library as a program sees it that has no headers: it finds each public function by its name.
 * tools/interface.py takes the names from the headers.
 */
#include "public_names.h"

#include <weft/weft.h>

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NAME(function) #function,

static const char *const names[] = {PUBLIC(NAME)};

static void test_every_function_is_found_by_its_name(void **state)
{
	unsigned missing = 0;

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (dlsym(RTLD_DEFAULT, names[i]))
			continue;
		print_message("there is no symbol %s\n", names[i]);
		missing++;
	}
	assert_int_equal(missing, 0);
}

static void test_an_inline_function_works_by_its_name(void **state)
{
	int (*create)(const struct weft_runtime_options *opt, weft_runtime **ret_rt);
	int (*stats)(weft_runtime * rt, struct weft_stats * ret_stats);
	struct weft_runtime_options opt = {.workers = 2};
	struct weft_stats s = {.live = 1};
	weft_runtime *rt;
	void *found;

	(void)state;
	found = dlsym(RTLD_DEFAULT, "weft_runtime_create");
	assert_non_null(found);
	memcpy(&create, &found, sizeof create);
	found = dlsym(RTLD_DEFAULT, "weft_runtime_stats");
	assert_non_null(found);
	memcpy(&stats, &found, sizeof stats);

	assert_int_equal(create(&opt, &rt), 0);
	assert_int_equal(weft_runtime_workers(rt), 2);
	assert_int_equal(stats(rt, &s), 0);
	assert_int_equal(s.live, 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_function_is_found_by_its_name),
		cmocka_unit_test(test_an_inline_function_works_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
