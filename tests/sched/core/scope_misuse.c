/* SPDX-License-Identifier: MIT */
/* Scopes that begin in a wrong place. Scopes that end out of order, in another task, or never. */
#include "harness.h"

#include <weft/blocking.h>
#include <weft/scope.h>

static void run_in_child(weft_fn *fn)
{
	setenv("WEFT_WORKERS", "1", 1);
	CHECK(weft_run(fn, NULL, NULL) == 0);
}

#define MISUSE(name)                           \
	static void name##_in_child(void *arg) \
	{                                      \
		(void)arg;                     \
		run_in_child(name);            \
	}

static void *end_twice(void *arg)
{
	weft_scope s;

	weft_scope_begin(&s, WEFT_FOREVER);
	weft_scope_end(&s);
	weft_scope_end(&s);
	return arg;
}
MISUSE(end_twice)

static void *end_nothing(void *arg)
{
	weft_scope s = {{0}};

	weft_scope_end(&s);
	return arg;
}
MISUSE(end_nothing)

static void *end_out_of_order(void *arg)
{
	weft_scope outer, inner;

	weft_scope_begin(&outer, WEFT_FOREVER);
	weft_scope_begin(&inner, WEFT_FOREVER);
	weft_scope_end(&outer);
	return arg;
}
MISUSE(end_out_of_order)

static void *end_it(void *arg)
{
	weft_scope_end(arg);
	return NULL;
}

static void *end_by_another(void *arg)
{
	weft_scope s;
	weft_task *task;

	weft_scope_begin(&s, WEFT_FOREVER);
	CHECK(weft_spawn(end_it, &s, &task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	return arg;
}
MISUSE(end_by_another)

/* As a fork, which is another task. */
static void *end_by_a_fork(void *arg)
{
	weft_scope s;
	weft_forked fork;

	weft_scope_begin(&s, WEFT_FOREVER);
	weft_fork(&fork, end_it, &s);
	weft_fork_join(&fork);
	return arg;
}
MISUSE(end_by_a_fork)

static weft_scope left;

static void *never_end(void *arg)
{
	weft_scope_begin(&left, WEFT_FOREVER);
	return arg;
}
MISUSE(never_end)

static void *fork_never_ends(void *arg)
{
	weft_forked fork;

	weft_fork(&fork, never_end, arg);
	weft_fork_join(&fork);
	return arg;
}
MISUSE(fork_never_ends)

static void *member_never_ends(void *arg)
{
	weft_group g;

	weft_group_init(&g);
	CHECK(weft_group_spawn(&g, never_end, arg) == 0);
	CHECK(weft_group_wait(&g) == 0);
	return arg;
}
MISUSE(member_never_ends)

static void *join_outside(void *arg)
{
	weft_scope s;
	weft_forked fork;

	weft_scope_begin(&s, WEFT_FOREVER);
	weft_fork(&fork, give_back, NULL);
	weft_scope_end(&s);
	weft_fork_join(&fork);
	return arg;
}
MISUSE(join_outside)

static void *begin_null(void *arg)
{
	weft_scope_begin(NULL, WEFT_FOREVER);
	return arg;
}
MISUSE(begin_null)

static void *end_null(void *arg)
{
	weft_scope_end(NULL);
	return arg;
}
MISUSE(end_null)

/* On a thread that is not a worker. */
static void end_on_a_thread(void *arg)
{
	weft_scope s;

	(void)arg;
	weft_scope_begin(&s, WEFT_FOREVER);
	weft_scope_end(&s);
	weft_scope_end(&s);
}

static void end_out_of_order_on_a_thread(void *arg)
{
	weft_scope outer, inner;

	(void)arg;
	weft_scope_begin(&outer, WEFT_FOREVER);
	weft_scope_begin(&inner, WEFT_FOREVER);
	weft_scope_end(&outer);
}

static void *blocking_never_ends(void *arg)
{
	CHECK(weft_blocking(never_end, NULL, NULL) == 0);
	return arg;
}
MISUSE(blocking_never_ends)

static void test_misuse_aborts_with_a_line(void **state)
{
	(void)state;
	assert_aborts(end_twice_in_child, "weft_scope_end", "or has ended");
	assert_aborts(end_nothing_in_child, "weft_scope_end", "not begun by the caller");
	assert_aborts(end_out_of_order_in_child, "weft_scope_end", "inner scope");
	assert_aborts(end_by_another_in_child, "weft_scope_end", "not begun by the caller");
	assert_aborts(end_by_a_fork_in_child, "weft_scope_end", "not begun by the caller");
	assert_aborts(never_end_in_child, "weft_scope_begin", "has not ended");
	assert_aborts(fork_never_ends_in_child, "weft_scope_begin", "has not ended");
	assert_aborts(member_never_ends_in_child, "weft_scope_begin", "has not ended");
	assert_aborts(join_outside_in_child, "weft_fork_join", "scope that has ended");
	assert_aborts(begin_null_in_child, "weft_scope_begin", "is NULL");
	assert_aborts(end_null_in_child, "weft_scope_end", "not begun by the caller");
	assert_aborts(end_on_a_thread, "weft_scope_end", "not begun by the caller");
	assert_aborts(end_out_of_order_on_a_thread, "weft_scope_end", "inner scope");
	assert_aborts(blocking_never_ends_in_child, "weft_scope_begin", "has not ended");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_misuse_aborts_with_a_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
