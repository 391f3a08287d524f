/* SPDX-License-Identifier: MIT */
/*
 * Coroutines that a thread keeps: few, of one kind, without a lock. The thread keeps them until it
 * ends or is told to give them back. A coroutine that is used again is as good as new.
 */
#include "child.h"
#include "depot_peek.h"

#include "src/base/process_locks.h"
#include "src/coro.h"
#include "src/spare.h"
#include "src/stack/stack_trim.h"

#include <errno.h>
#include <fenv.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <weft/coro.h>

#include <cmocka.h>

#define SMALL ((size_t)64 << 10)
#define LARGE ((size_t)512 << 10)
#define MANY  100

static void *yields(void *in)
{
	return weft_coro_yield(in);
}

/* So many coroutines at once. Each is suspended when it is destroyed. */
static void burst(size_t stack_size, unsigned count)
{
	weft_coro *coros[MANY];
	void *out;

	for (unsigned i = 0; i < count; i++) {
		assert_int_equal(weft_coro_create(yields, stack_size, &coros[i]), 0);
		assert_int_equal(weft_coro_enter(coros[i], &coros[i], &out), 0);
		assert_ptr_equal(out, &coros[i]);
	}
	for (unsigned i = 0; i < count; i++)
		weft_coro_destroy(coros[i]);
}

static void test_a_thread_keeps_few(void **state)
{
	size_t before = used_stacks();

	(void)state;
	burst(SMALL, MANY);
	assert_int_equal(used_stacks(), before + (WEFT__SPARES ? SPARE_MAX : 0));
	burst(SMALL, MANY);
	assert_int_equal(used_stacks(), before + (WEFT__SPARES ? SPARE_MAX : 0));
	weft__spares_drop();
	assert_int_equal(used_stacks(), before);
	/* Large ones are limited by their size. */
	burst(LARGE, MANY);
	assert_int_equal(used_stacks(), before + (WEFT__SPARES ? SPARE_BYTES / LARGE : 0));
	weft__spares_drop();
	assert_int_equal(used_stacks(), before);
	burst(2 * LARGE, MANY);
	assert_int_equal(used_stacks(), before);
}

static void test_trimming_frees_them(void **state)
{
	size_t before = used_stacks();

	(void)state;
	burst(SMALL, MANY);
	weft__stack_trim();
	assert_int_equal(used_stacks(), before);
}

static void test_a_kind_replaces_the_one_before(void **state)
{
	size_t before = used_stacks();

	(void)state;
	burst(SMALL, SPARE_MAX);
	for (unsigned i = 0; i < SPARE_MAX; i++)
		burst(SMALL / 2, 1);
	burst(SMALL / 2, SPARE_MAX);
	assert_int_equal(used_stacks(), before + (WEFT__SPARES ? SPARE_MAX : 0));
	if (WEFT__SPARES) {
		assert_int_equal(weft__thread()->spare_kind, spare_kind(SMALL / 2, true));
		assert_int_equal(weft__thread()->spare_room, 0);
	}
	weft__spares_drop();
	assert_int_equal(used_stacks(), before);
}

static pthread_key_t late;

static void destroy_late(void *co)
{
	weft_coro_destroy(co);
	burst(SMALL, 2);
}

static void *burst_and_end(void *arg)
{
	weft_coro *co;

	burst(SMALL, MANY);
	/* The destructors of keys run in no particular order. A key that has a value again runs
	 * again. */
	if (weft_coro_create(yields, SMALL, &co) == 0)
		pthread_setspecific(late, co);
	return arg;
}

static void test_the_thread_s_end_frees_them(void **state)
{
	size_t before = used_stacks();
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_key_create(&late, destroy_late), 0);
	assert_int_equal(pthread_create(&thread, NULL, burst_and_end, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(used_stacks(), before);
	pthread_key_delete(late);
}

static pthread_barrier_t barrier;

static void *keep_until_told(void *use_again)
{
	weft_coro *co;

	burst(SMALL, MANY);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier); /* dropped meanwhile */
	if (use_again) {
		if (weft_coro_create(yields, SMALL, &co) == 0)
			weft_coro_destroy(co);
	}
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier); /* counted meanwhile */
	return NULL;
}

static void test_other_threads_are_told(void **state)
{
	size_t before = used_stacks();
	pthread_t thread;

	(void)state;
	pthread_barrier_init(&barrier, NULL, 2);
	assert_int_equal(pthread_create(&thread, NULL, keep_until_told, &barrier), 0);
	pthread_barrier_wait(&barrier);
	assert_int_equal(used_stacks(), before + (WEFT__SPARES ? SPARE_MAX : 0));
	weft__spares_drop();
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	assert_int_equal(used_stacks(), before + (WEFT__SPARES ? 1 : 0));
	pthread_barrier_wait(&barrier);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(used_stacks(), before);
	pthread_barrier_destroy(&barrier);
}

static void *hold_locks(void *held)
{
	WEFT__FORKS(true); /* only the handlers of fork() take them all */
	weft__lock_process(WEFT__LOCK_STACK_POOLS);
	weft__process_locks[WEFT__LOCK_STACK_POOLS].lock_each();
	pthread_barrier_wait(held);
	pause(); /* until the end of the process */
	return held;
}

/* The pools are not touched: another thread holds their locks all the while. */
static void live_beside_held_locks(void *unused)
{
	pthread_barrier_t held;
	pthread_t thread;

	(void)unused;
	burst(SMALL, 1);
	pthread_barrier_init(&held, NULL, 2);
	if (pthread_create(&thread, NULL, hold_locks, &held) != 0)
		_exit(1);
	pthread_barrier_wait(&held);
	for (unsigned i = 0; i < 100; i++)
		burst(SMALL, 1);
	_exit(7);
}

static void test_no_lock_is_taken(void **state)
{
	struct child child;

	(void)state;
	if (!WEFT__SPARES)
		return;
	child_run(&child, live_beside_held_locks, NULL);
	assert_true(child_exited_with(&child, 7));
}

static void *leave_traces(void *in)
{
	errno = 77;
	fesetround(FE_UPWARD);
	return weft_coro_yield(in);
}

static void *look_for_traces(void *in)
{
	bool new = errno == 0 && fegetround() == FE_TONEAREST &&weft_coro_inside();

	return new ? in : NULL;
}

static void test_what_is_used_again_is_as_new(void **state)
{
	weft_coro *first, *second;
	void *out;

	(void)state;
	for (unsigned enters = 0; enters < 3; enters++) {
		assert_int_equal(weft_coro_create(leave_traces, SMALL, &first), 0);
		for (unsigned i = 0; i < enters; i++)
			assert_int_equal(weft_coro_enter(first, &out, &out), 0);
		weft_coro_destroy(first);
		assert_int_equal(weft_coro_create(look_for_traces, SMALL, &second), 0);
		if (WEFT__SPARES)
			assert_ptr_equal(second, first);
		assert_false(weft_coro_done(second));
		assert_int_equal(weft_coro_enter(second, &second, &out), 0);
		assert_ptr_equal(out, &second);
		assert_true(weft_coro_done(second));
		weft_coro_destroy(second);
	}
}

static void *destroy_elsewhere(void *co)
{
	weft_coro_destroy(co);
	burst(SMALL, 2);
	return NULL;
}

static void test_a_coroutine_may_be_destroyed_by_another_thread(void **state)
{
	size_t before;
	pthread_t thread;
	weft_coro *co;

	(void)state;
	weft__spares_drop();
	before = used_stacks();
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(weft_coro_create(yields, SMALL, &co), 0);
		assert_int_equal(weft_coro_enter(co, NULL, NULL), 0);
		assert_int_equal(pthread_create(&thread, NULL, destroy_elsewhere, co), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
	}
	weft__spares_drop();
	assert_int_equal(used_stacks(), before);
}

static void change_the_environment(void *unused)
{
	weft_coro *co;

	(void)unused;
	setenv("WEFT_STACK_SIZE", "lots", 1);
	if (weft_coro_create(yields, 0, &co) != -EINVAL)
		_exit(1);
	/* A bad value is read again. */
	setenv("WEFT_STACK_SIZE", "64K", 1);
	if (weft_coro_create(yields, 0, &co) != 0)
		_exit(2);
	weft_coro_destroy(co);
	/* A good value is not. */
	setenv("WEFT_STACK_SIZE", "lots", 1);
	setenv("WEFT_GUARD", "perhaps", 1);
	if (weft_coro_create(yields, 0, &co) != 0)
		_exit(3);
	weft_coro_destroy(co);
	_exit(weft__thread()->spare_kind == (WEFT__SPARES ? spare_kind(SMALL, true) : 0) ? 7 : 4);
}

/* Must be the first test: no coroutine has been created yet. */
static void test_the_environment_is_read_once(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, change_the_environment, NULL);
	assert_true(child_exited_with(&child, 7));
	assert_int_equal(child_lines(&child), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_environment_is_read_once),
		cmocka_unit_test(test_a_thread_keeps_few),
		cmocka_unit_test(test_trimming_frees_them),
		cmocka_unit_test(test_a_kind_replaces_the_one_before),
		cmocka_unit_test(test_the_thread_s_end_frees_them),
		cmocka_unit_test(test_other_threads_are_told),
		cmocka_unit_test(test_no_lock_is_taken),
		cmocka_unit_test(test_what_is_used_again_is_as_new),
		cmocka_unit_test(test_a_coroutine_may_be_destroyed_by_another_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
