/* SPDX-License-Identifier: MIT */
/* The library prints one line, whatever the line contains. */
#include "src/base/fatal.h"

#include "../child.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void warn(void *text)
{
	errno = 77;
	weft__warn("%s, %d", (const char *)text, 5);
	if (errno != 77)
		_exit(1);
}

static void warn_at_length(void *text)
{
	weft__warn("%s", (const char *)text);
	weft__warn("next");
}

/* The line cannot be written. That must not change errno. */
static void warn_nobody(void *text)
{
	close(STDERR_FILENO);
	warn(text);
}

static void misuse(void *text)
{
	weft__fatal("%s", (const char *)text);
}

static void test_warning_is_a_line(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, warn, "some words");
	assert_true(child_exited_with(&child, 0));
	assert_string_equal(child.said, "weft: some words, 5\n");
	child_run(&child, warn_nobody, "some words");
	assert_true(child_exited_with(&child, 0));
}

static void test_control_characters_are_replaced(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, warn, "a\nb\tc\x1b[31md\x7f\x01\r");
	assert_string_equal(child.said, "weft: a?b?c?[31md???, 5\n");
	/* Bytes outside of ASCII are not control characters. */
	child_run(&child, warn, "caf\xc3\xa9 ~");
	assert_string_equal(child.said, "weft: caf\xc3\xa9 ~, 5\n");
}

static void test_long_line_is_cut(void **state)
{
	char text[2000];
	struct child child;

	(void)state;
	/* Lengths around the buffer's size, and far above it. */
	for (size_t length = 490; length < sizeof(text); length += length < 520 ? 1 : 491) {
		memset(text, 'x', length);
		text[length] = '\0';
		child_run(&child, warn_at_length, text);
		assert_true(child_exited_with(&child, 0));
		assert_int_equal(child_lines(&child), 2);
		assert_int_equal(strncmp(child.said, "weft: xxx", 9), 0);
		assert_non_null(strstr(child.said, "xxx\nweft: next\n"));
	}
}

static void test_fatal_says_so_and_aborts(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, misuse, "wrong\nhere");
	assert_true(child_died_of(&child, SIGABRT));
	assert_int_equal(child_lines(&child), 1);
	assert_int_equal(strncmp(child.said, "weft: wrong?here\n", 17), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_warning_is_a_line),
		cmocka_unit_test(test_control_characters_are_replaced),
		cmocka_unit_test(test_long_line_is_cut),
		cmocka_unit_test(test_fatal_says_so_and_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
