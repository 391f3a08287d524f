/* SPDX-License-Identifier: MIT */
/* WEFT_STACK_SIZE and WEFT_GUARD: the accepted values, and the message about all others. */
#include "src/stack/stack_env.h"

#include "../child.h"
#include "src/stack/stack.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static void test_sizes_parse(void **state)
{
	static const struct {
		const char *text;
		size_t size;
	} good[] = {
		{"0", 0},
		{"7", 7},
		{"16384", 16384},
		{"16K", 16384},
		{"0016K", 16384},
		{"3M", 3145728},
		{"18446744073709551615", SIZE_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		size_t size = 99;

		assert_int_equal(weft__parse_size(good[i].text, &size), 0);
		assert_int_equal(size, good[i].size);
	}
}

static void test_what_is_no_size_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"K",
		"M",
		"-1",
		"+1",
		" 1",
		"1 ",
		"k",
		"16kk",
		"1KB",
		"1KK",
		"1.5",
		"0x10",
		"1e3",
		"12Q",
		"1G",
		"18446744073709551616",
		"99999999999999999999999",
		"18014398509481984K",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t size = 99;

		assert_int_equal(weft__parse_size(bad[i], &size), -EINVAL);
		assert_int_equal(size, 99);
	}
}

/* "NAME=value ..." goes into the environment, and the exit code says what came out. */
struct expected {
	const char *size, *guard;
	int err;
	size_t ret_size;
	bool ret_guard;
};

static void read_environment(void *arg)
{
	const struct expected *e = arg;
	size_t size = 99;
	bool guard = !e->ret_guard;

	unsetenv("WEFT_STACK_SIZE");
	unsetenv("WEFT_GUARD");
	if (e->size)
		setenv("WEFT_STACK_SIZE", e->size, 1);
	if (e->guard)
		setenv("WEFT_GUARD", e->guard, 1);
	if (weft__stack_env(&size, &guard) != e->err)
		_exit(1);
	if (e->err ? size != 99 || guard != !e->ret_guard
		   : size != e->ret_size || guard != e->ret_guard)
		_exit(2);
}

static void test_environment_is_read(void **state)
{
	const struct expected good[] = {
		{NULL, NULL, 0, weft__stack_within(262144, true), true},
		{NULL, "off", 0, weft__stack_within(262144, false), false},
		{"16K", NULL, 0, 16384, true},
		{"20000", "off", 0, 20000, false},
		{"64k", NULL, 0, 65536, true},
		{"1m", NULL, 0, 1048576, true},
		{"1024M", "on", 0, 1073741824, true},
		{NULL, "always", 0, weft__stack_within(262144, true), true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct child child;

		child_run(&child, read_environment, (void *)&good[i]);
		assert_true(child_exited_with(&child, 0));
		assert_int_equal(child_lines(&child), 0);
	}
}

static void test_bad_environment_is_explained_in_one_line(void **state)
{
	static const struct expected bad[] = {
		{"", NULL, -EINVAL, 0, true},      {"16383", NULL, -EINVAL, 0, true},
		{"1025M", NULL, -EINVAL, 0, true}, {"lots", "off", -EINVAL, 0, true},
		{NULL, "", -EINVAL, 0, false},     {NULL, "ON", -EINVAL, 0, false},
		{"64K", "1", -EINVAL, 0, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		bool about_size =
			bad[i].ret_guard; /* the table says here which of the two is bad */
		char start[64];
		struct child child;

		child_run(&child, read_environment, (void *)&bad[i]);
		assert_true(child_exited_with(&child, 0));
		assert_int_equal(child_lines(&child), 1);
		snprintf(start, sizeof(start), "weft: %s=\"%s\": expected ",
			 about_size ? "WEFT_STACK_SIZE" : "WEFT_GUARD",
			 about_size ? bad[i].size : bad[i].guard);
		assert_non_null(strstr(child.said, start));
		assert_non_null(
			strstr(child.said, about_size ? "from 16K to 1024M" : "on, off or always"));
	}
}

static void test_bad_environment_cannot_break_the_line(void **state)
{
	static const struct expected size = {"16K\nweft: x\x1b[2J", NULL, -EINVAL, 0, true};
	static const struct expected guard = {NULL, "on\n", -EINVAL, 0, false};
	struct child child;

	(void)state;
	child_run(&child, read_environment, (void *)&size);
	assert_true(child_exited_with(&child, 0));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, "weft: WEFT_STACK_SIZE=\"16K?weft: x?[2J\": "));
	child_run(&child, read_environment, (void *)&guard);
	assert_true(child_exited_with(&child, 0));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, "weft: WEFT_GUARD=\"on?\": "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes_parse),
		cmocka_unit_test(test_what_is_no_size_is_refused),
		cmocka_unit_test(test_environment_is_read),
		cmocka_unit_test(test_bad_environment_is_explained_in_one_line),
		cmocka_unit_test(test_bad_environment_cannot_break_the_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
