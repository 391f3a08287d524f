/* SPDX-License-Identifier: MIT */
/* Misuse that can only be a bug: one line on stderr that names the call, then abort(). Each case
 * runs in a child process. */
#include "src/coro.h"

#include "child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static weft_coro *victim;

static void assert_aborts(void (*fn)(void *arg), const char *call, const char *why)
{
	struct child child;

	child_run(&child, fn, NULL);
	assert_true(child_died_of(&child, SIGABRT));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, call));
	assert_non_null(strstr(child.said, why));
}

static void *enter_itself(void *in)
{
	weft_coro_enter(victim, in, NULL);
	return NULL;
}

static void do_enter_itself(void *arg)
{
	child_needs(weft_coro_create(enter_itself, 0, &victim));
	weft_coro_enter(victim, arg, NULL);
}

static void test_entering_a_running_coroutine_aborts(void **state)
{
	(void)state;
	assert_aborts(do_enter_itself, "weft_coro_enter: coroutine 0x", "is running");
}

static void *enter_outer(void *in)
{
	return enter_itself(in);
}

static void *enter_inner(void *in)
{
	weft_coro *inner = NULL;

	child_needs(weft_coro_create(enter_outer, 0, &inner));
	weft_coro_enter(inner, in, NULL);
	return NULL;
}

static void do_enter_outer(void *arg)
{
	child_needs(weft_coro_create(enter_inner, 0, &victim));
	weft_coro_enter(victim, arg, NULL);
}

static void test_entering_a_coroutine_that_has_entered_us_aborts(void **state)
{
	(void)state;
	assert_aborts(do_enter_outer, "weft_coro_enter: coroutine 0x", "is running");
}

static void *nothing(void *in)
{
	return in;
}

static void do_enter_ended(void *arg)
{
	child_needs(weft_coro_create(nothing, 0, &victim));
	weft_coro_enter(victim, arg, NULL);
	weft_coro_enter(victim, arg, NULL);
}

static void test_entering_an_ended_coroutine_aborts(void **state)
{
	(void)state;
	assert_aborts(do_enter_ended, "weft_coro_enter: coroutine 0x", "has ended");
}

static void do_destroy_twice(void *arg)
{
	(void)arg;
	child_needs(weft_coro_create(nothing, 0, &victim));
	weft_coro_destroy(victim);
	weft_coro_destroy(victim);
}

static void do_enter_destroyed(void *arg)
{
	child_needs(weft_coro_create(nothing, 0, &victim));
	weft_coro_destroy(victim);
	weft_coro_enter(victim, arg, NULL);
}

static void test_using_a_destroyed_coroutine_aborts(void **state)
{
	(void)state;
	assert_aborts(do_destroy_twice, "weft_coro_destroy: coroutine 0x", "has been destroyed");
	assert_aborts(do_enter_destroyed, "weft_coro_enter: coroutine 0x", "has been destroyed");
}

static void do_enter_null(void *arg)
{
	weft_coro_enter(NULL, arg, NULL);
}

static void do_yield_outside(void *arg)
{
	weft_coro_yield(arg);
}

static void do_yield_after(void *arg)
{
	child_needs(weft_coro_create(nothing, 0, &victim));
	weft_coro_enter(victim, arg, NULL);
	weft_coro_yield(arg);
}

static void *yield_at_boundary(void *in)
{
	weft__coro_boundary_begin();
	return weft_coro_yield(in);
}

static void do_yield_at_boundary(void *arg)
{
	child_needs(weft_coro_create(yield_at_boundary, 0, &victim));
	weft_coro_enter(victim, arg, NULL);
}

static void test_entering_null_aborts(void **state)
{
	(void)state;
	assert_aborts(do_enter_null, "weft_coro_enter: ", "NULL");
}

static void test_yielding_outside_aborts(void **state)
{
	(void)state;
	assert_aborts(do_yield_outside, "weft_coro_yield: ", "not inside");
	assert_aborts(do_yield_after, "weft_coro_yield: ", "not inside");
	assert_aborts(do_yield_at_boundary, "weft_coro_yield: ", "not inside");
}

static void *destroy_itself(void *in)
{
	weft_coro_destroy(victim);
	return in;
}

static void do_destroy_itself(void *arg)
{
	child_needs(weft_coro_create(destroy_itself, 0, &victim));
	weft_coro_enter(victim, arg, NULL);
}

static void test_destroying_a_running_coroutine_aborts(void **state)
{
	(void)state;
	assert_aborts(do_destroy_itself, "weft_coro_destroy: coroutine 0x", "is running");
}

static void do_create_with(void *arg)
{
	weft_coro *co = NULL;

	putenv(arg);
	if (weft_coro_create(nothing, 0, &co) == -22 && !co)
		_exit(3);
}

static void test_bad_environment_refuses_creation(void **state)
{
	static char *const bad[] = {"WEFT_STACK_SIZE=12Q", "WEFT_STACK_SIZE=", "WEFT_GUARD=yes"};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct child child;

		child_run(&child, do_create_with, bad[i]);
		assert_true(child_exited_with(&child, 3));
		assert_int_equal(child_lines(&child), 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entering_a_running_coroutine_aborts),
		cmocka_unit_test(test_entering_a_coroutine_that_has_entered_us_aborts),
		cmocka_unit_test(test_entering_an_ended_coroutine_aborts),
		cmocka_unit_test(test_entering_null_aborts),
		cmocka_unit_test(test_yielding_outside_aborts),
		cmocka_unit_test(test_destroying_a_running_coroutine_aborts),
		cmocka_unit_test(test_using_a_destroyed_coroutine_aborts),
		cmocka_unit_test(test_bad_environment_refuses_creation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
