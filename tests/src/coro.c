/* SPDX-License-Identifier: MIT */
/* Coroutines without a pool: weft_coro_*(), and weft__coro_switch() below it. */
#include "src/coro.h"

#include "child.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define N(value) ((void *)(intptr_t)(value))

static weft_coro *create(weft_fn *fn)
{
	weft_coro *co = NULL;

	assert_int_equal(weft_coro_create(fn, 0, &co), 0);
	assert_non_null(co);
	return co;
}

static intptr_t enter(weft_coro *co, intptr_t in)
{
	void *out = N(-99);

	assert_int_equal(weft_coro_enter(co, N(in), &out), 0);
	return (intptr_t)out;
}

/* Yields in + 1 until it gets 0, then returns 1000. */
static void *increment(void *in)
{
	while (in)
		in = weft_coro_yield((char *)in + 1);
	return N(1000);
}

static void test_values_travel_both_ways(void **state)
{
	weft_coro *co = create(increment);

	(void)state;
	assert_false(weft_coro_done(co));
	assert_int_equal(enter(co, 5), 6);
	assert_null(((struct coro *)co)->caller);
	assert_int_equal(enter(co, -8), -7);
	assert_false(weft_coro_done(co));
	assert_int_equal(enter(co, 0), 1000);
	assert_true(weft_coro_done(co));
	weft_coro_destroy(co);
}

static void test_out_may_be_null(void **state)
{
	weft_coro *co = create(increment);

	(void)state;
	assert_int_equal(weft_coro_enter(co, N(1), NULL), 0);
	assert_int_equal(enter(co, 2), 3);
	assert_int_equal(weft_coro_enter(co, N(0), NULL), 0);
	assert_true(weft_coro_done(co));
	weft_coro_destroy(co);
}

static void test_create_refuses_bad_arguments(void **state)
{
	weft_coro *co = NULL;

	(void)state;
	assert_int_equal(weft_coro_create(NULL, 0, &co), -EINVAL);
	assert_int_equal(weft_coro_create(increment, 0, NULL), -EINVAL);
	assert_int_equal(weft_coro_create(increment, (16 << 10) - 1, &co), -EINVAL);
	assert_int_equal(weft_coro_create(increment, ((size_t)1 << 30) + 1, &co), -EINVAL);
	assert_null(co);
	assert_int_equal(weft_coro_create(increment, 16 << 10, &co), 0);
	assert_int_equal(enter(co, 1), 2);
	weft_coro_destroy(co);
	weft_coro_destroy(NULL);
}

/* Enters a generator of its own kind, `in` levels deep. Returns the sum of what each level has
 * seen. */
static void *nest(void *in)
{
	intptr_t depth = (intptr_t)in;
	weft_coro *self = weft_coro_self();
	weft_coro *inner = NULL;
	void *out = NULL;
	intptr_t sum;

	weft_coro_yield(in);
	if (depth == 0)
		return N(0);
	if (weft_coro_create(nest, 16 << 10, &inner) != 0)
		return N(-1);
	weft_coro_enter(inner, N(depth - 1), &out);
	sum = (intptr_t)out == depth - 1 && weft_coro_self() == self && self != inner;
	weft_coro_enter(inner, NULL, &out);
	sum += (intptr_t)out + (weft_coro_self() == self && weft_coro_done(inner));
	weft_coro_destroy(inner);
	return N(sum);
}

static void test_coroutines_nest(void **state)
{
	weft_coro *co = create(nest);

	(void)state;
	assert_int_equal(enter(co, 100), 100);
	assert_int_equal(enter(co, 0), 200);
	weft_coro_destroy(co);
}

static bool inside_before, inside_within, inside_after;

static void *look_around(void *in)
{
	struct coro *saved;

	inside_before = weft_coro_inside() && weft_coro_self() == *(weft_coro **)in;
	saved = weft__coro_boundary_begin();
	inside_within = weft_coro_inside() || weft_coro_self();
	weft__coro_boundary_end(saved);
	inside_after = weft_coro_inside() && weft_coro_self() == *(weft_coro **)in;
	return NULL;
}

static void test_inside_is_true_in_a_generator_only(void **state)
{
	weft_coro *co = create(look_around);

	(void)state;
	assert_false(weft_coro_inside());
	assert_null(weft_coro_self());
	assert_int_equal(weft_coro_enter(co, &co, NULL), 0);
	assert_true(inside_before);
	assert_false(inside_within);
	assert_true(inside_after);
	assert_false(weft_coro_inside());
	weft_coro_destroy(co);
}

/* errno's address must not be kept over a yield. A compiler may keep it within one function. */
__attribute__((noinline)) static int get_errno(void)
{
	__asm__ volatile("");
	return errno;
}

__attribute__((noinline)) static void set_errno(int value)
{
	__asm__ volatile("");
	errno = value;
}

static void *remember_errno(void *in)
{
	for (;;) {
		int seen = get_errno();

		set_errno((int)(intptr_t)in);
		in = weft_coro_yield(N(seen));
	}
	return NULL;
}

static void test_errno_travels(void **state)
{
	weft_coro *co = create(remember_errno);

	(void)state;
	errno = 77;
	assert_int_equal(enter(co, 11), 0);
	assert_int_equal(errno, 77);
	assert_int_equal(enter(co, 12), 11);
	assert_int_equal(errno, 77);
	weft_coro_destroy(co);
}

static void test_destroying_drops_a_suspended_coroutine(void **state)
{
	weft_coro *never = create(increment);
	weft_coro *suspended = create(increment);

	(void)state;
	assert_int_equal(enter(suspended, 1), 2);
	weft_coro_destroy(never);
	weft_coro_destroy(suspended);
	suspended = create(increment);
	assert_false(weft_coro_done(suspended));
	assert_int_equal(enter(suspended, 3), 4);
	weft_coro_destroy(suspended);
}

/* --- from other threads --- */

struct visit {
	weft_coro *co;
	intptr_t in, out;
	int errno_before, errno_after;
	bool inside_after;
};

static void *visit(void *arg)
{
	struct visit *v = arg;
	void *out = NULL;

	errno = v->errno_before;
	weft_coro_enter(v->co, N(v->in), &out);
	v->errno_after = errno;
	v->out = (intptr_t)out;
	v->inside_after = weft_coro_inside();
	return NULL;
}

static void visit_on_new_thread(struct visit *v)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, visit, v), 0);
	pthread_join(thread, NULL);
}

static void test_each_enter_may_be_from_another_thread(void **state)
{
	struct visit v = {.co = create(increment)};

	(void)state;
	for (int i = 1; i < 20; i++) {
		v.in = i;
		visit_on_new_thread(&v);
		assert_int_equal(v.out, i + 1);
		assert_false(v.inside_after);
		assert_int_equal(enter(v.co, 100 + i), 101 + i);
	}
	v.in = 0;
	visit_on_new_thread(&v);
	assert_int_equal(v.out, 1000);
	assert_true(weft_coro_done(v.co));
	weft_coro_destroy(v.co);
}

static void test_errno_travels_between_threads(void **state)
{
	struct visit v = {.co = create(remember_errno), .errno_before = 5};

	(void)state;
	errno = 77;
	assert_int_equal(enter(v.co, 11), 0);
	v.in = 12;
	visit_on_new_thread(&v);
	assert_int_equal(v.out, 11);
	assert_int_equal(v.errno_after, 5);
	assert_int_equal(enter(v.co, 13), 12);
	assert_int_equal(errno, 77);
	weft_coro_destroy(v.co);
}

/*
 * A chain of two coroutines. Thread A enters outer, which enters inner, and both yield. Thread B
 * continues outer, which continues inner.
 */
static void *carry(void *in)
{
	weft_coro *inner = NULL;
	void *out;

	if (weft_coro_create(increment, 0, &inner) != 0)
		return N(-1);
	while (in) {
		out = N(-2);
		weft_coro_enter(inner, in, &out);
		in = weft_coro_yield(out);
	}
	weft_coro_destroy(inner);
	return N(2000);
}

static void test_nested_coroutines_move_between_threads(void **state)
{
	struct visit v = {.co = create(carry)};

	(void)state;
	for (int i = 1; i < 10; i++) {
		v.in = i;
		visit_on_new_thread(&v);
		assert_int_equal(v.out, i + 1);
		assert_int_equal(enter(v.co, 50 + i), 51 + i);
	}
	assert_int_equal(enter(v.co, 0), 2000);
	weft_coro_destroy(v.co);
}

/* --- the symmetric switch --- */

static struct coro *symmetric[3], *leader;
static intptr_t trail;

static void pass_on(void *value)
{
	for (;;) {
		struct coro *self = weft__thread()->current;
		int i = self == symmetric[0] ? 0 : self == symmetric[1] ? 1 : 2;
		intptr_t n = (intptr_t)value;

		trail = trail * 10 + i;
		value = n == 0 ? weft__coro_switch(leader, N(trail))
			       : weft__coro_switch(symmetric[(i + 1) % 3], N(n - 1));
	}
}

static void test_coroutines_switch_symmetrically(void **state)
{
	(void)state;
#ifdef WEFT_TSAN_USER
	print_message("skipped: the scheduler's own switch makes no edge in this build\n");
	skip();
#endif
	weft__coro_thread_init();
	leader = weft__thread()->current;
	assert_ptr_equal(leader, weft__thread()->leader);
	for (int i = 0; i < 3; i++) {
		symmetric[i] = weft__coro_new(16 << 10, true, pass_on);
		assert_non_null(symmetric[i]);
	}
	trail = 0;
	assert_int_equal((intptr_t)weft__coro_switch(symmetric[0], N(4)), 1201 + 0);
	assert_ptr_equal(weft__thread()->current, leader);
	trail = 0;
	/* The second visit finds 1 in the idle switch. It would find 0 if it had continued at 1. */
	assert_int_equal((intptr_t)weft__coro_switch(symmetric[1], N(2)), 120);
	for (int i = 0; i < 3; i++)
		weft__coro_free(symmetric[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_travel_both_ways),
		cmocka_unit_test(test_out_may_be_null),
		cmocka_unit_test(test_create_refuses_bad_arguments),
		cmocka_unit_test(test_coroutines_nest),
		cmocka_unit_test(test_inside_is_true_in_a_generator_only),
		cmocka_unit_test(test_errno_travels),
		cmocka_unit_test(test_destroying_drops_a_suspended_coroutine),
		cmocka_unit_test(test_each_enter_may_be_from_another_thread),
		cmocka_unit_test(test_errno_travels_between_threads),
		cmocka_unit_test(test_nested_coroutines_move_between_threads),
		cmocka_unit_test(test_coroutines_switch_symmetrically),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
