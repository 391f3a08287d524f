/* SPDX-License-Identifier: MIT */
/*
 * The cases of exceptions.cpp from the unwinder's side, for machines without a C++ compiler. The
 * search for a handler ends at the task's function, also in an inline fork. One line names the
 * task, and nothing is unwound.
 */
#include "tests/sched/core/harness.h"

#include <unwind.h>

static struct _Unwind_Exception exception;

/*
 * Does what a C++ throw does. If it returns, nobody handles the exception. Its result is not
 * checked: on aarch64 libgcc overwrites it (gcc bug 114843), and the C++ runtime does not check it
 * either.
 */
static void *raise_exception(void *ret_returned)
{
	weft_yield();
	_Unwind_RaiseException(&exception);
	*(bool *)ret_returned = true;
	return NULL;
}

static void *raise_in_inline_fork(void *ret_returned)
{
	weft_forked storage;

	weft_fork(&storage, raise_exception, ret_returned);
	return weft_fork_join(&storage);
}

static void *raise_in_named(void *ret_returned)
{
	const struct weft_task_options options = {.name = "raiser"};
	weft_task *task = NULL;

	child_needs(weft_spawn_with(&options, raise_exception, ret_returned, &task));
	child_got(weft_join(task, NULL));
	return NULL;
}

static void run(void *fn)
{
	bool returned = false;

	set_number("WEFT_WORKERS", 1);
	child_got(weft_run(*(weft_fn **)fn, &returned, NULL));
	_exit(returned ? 42 : 1);
}

static void assert_ends_in(weft_fn *fn, const char *text)
{
	struct child child;

	child_run(&child, run, &fn);
	assert_true(child_exited_with(&child, 42));
	assert_int_equal(child_lines(&child), 1);
	if (!strstr(child.said, text))
		fprintf(stderr, "said: %s\n", child.said);
	assert_non_null(strstr(child.said, text));
}

static void test_the_search_ends_at_the_task(void **state)
{
	char text[80];

	(void)state;
	assert_ends_in(raise_exception, "weft: an exception leaves task ");
	snprintf(text, sizeof text, " \"raiser\", function 0x%lx, which ",
		 (unsigned long)(uintptr_t)raise_exception);
	assert_ends_in(raise_in_named, text);
	snprintf(text, sizeof text, ", function 0x%lx, which ",
		 (unsigned long)(uintptr_t)raise_exception);
	assert_ends_in(raise_in_inline_fork, text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_search_ends_at_the_task),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
