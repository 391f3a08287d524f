/* SPDX-License-Identifier: MIT */
/*
 * Wake-ups that come before their task is parked (early.c). A waiting task is visible to wakers
 * before it has left its stack. Its thread may need long for that, and a waker must not wait for
 * it.
 *
 *   waiter                               waker
 *   begins to wait, publishes the node
 *                                        claims and wakes it
 *                                        must return
 *   switches, is parked
 *   must be woken, once
 *
 * In this test the waiter does not switch before the waker has returned. If wakers waited for
 * PARKED, neither side would go on.
 */
#include "harness.h"
#include "sched/core/runtime.h"
#include "sched/core/wait.h"
#include "src/base/cpu_relax.h"
#include "src/base/fence.h"
#include "src/base/random.h"

#include <pthread.h>

#define PAIRS 3

struct pair {
	struct waiter waiter;
	flag published, returned; /* counted by rounds */
	unsigned rounds;
	bool lone;
	bool holds;    /* the waiter does not switch before the waker has returned */
	uint64_t seed; /* otherwise it takes a random time until its switch */
};

static struct pair pairs[PAIRS];
static weft_runtime *other;

static void *wait_rounds(void *arg)
{
	struct pair *p = arg;
	struct weft__random random;

	weft__random_seed(&random, p->seed);
	for (unsigned round = 1; round <= p->rounds; round++) {
		weft__wait_begin(&p->waiter, p->lone);
		raise_flag(&p->published);
		if (p->holds) {
			if (!CHECK(spin_for(&p->returned, round)))
				return arg;
		} else {
			/* Up to a longer time than a waker looks, which is a few microseconds. */
			for (uint32_t n = weft__random_below(&random, 400); n > 0; n--)
				weft__cpu_relax();
		}
		CHECK(weft__wait(&p->waiter, WEFT_FOREVER, false) == WAIT_WOKEN);
		/* Its node is used again. */
		if (!CHECK(yield_for(&p->returned, round)))
			return arg;
	}
	return arg;
}

static void *wake_rounds(void *arg)
{
	struct pair *p = arg;

	for (unsigned round = 1; round <= p->rounds; round++) {
		struct wakeup wakeup;
		if (!CHECK(spin_for(&p->published, round)))
			return arg;
		if (CHECK(weft__wait_claim(&p->waiter, &wakeup)))
			weft__wait_wake(wakeup);
		raise_flag(&p->returned);
	}
	return arg;
}

static void prepare(unsigned rounds, bool lone, bool holds, uint64_t seed)
{
	for (unsigned i = 0; i < PAIRS; i++) {
		struct pair *p = &pairs[i];
		p->published = p->returned = 0;
		p->rounds = rounds;
		p->lone = lone;
		p->holds = holds;
		p->seed = seed + i;
	}
}

/* The list is empty after all have been woken. */
static void check_none_is_left(void)
{
	struct weft_runtime *rt = weft__worker()->rt;

	/* relaxed: a task is made runnable only after its node was taken out */
	CHECK(atomic_load_explicit(&rt->early_count, memory_order_relaxed) == rt->early.none);
}

static void *beside_a_worker(void *arg)
{
	weft_task *waker;

	CHECK(weft_spawn(wake_rounds, &pairs[0], &waker) == 0);
	wait_rounds(&pairs[0]);
	CHECK(weft_join(waker, NULL) == 0);
	check_none_is_left();
	return arg;
}

static void test_a_worker_does_not_wait_for_the_switch(void **state)
{
	(void)state;
	for (unsigned lone = 0; lone < 2; lone++) {
		prepare(weft_test_scale(200), lone, true, 0);
		assert_run(2, beside_a_worker, NULL);
	}
}

static void *waits_beside_threads(void *arg)
{
	weft_task *waiters[PAIRS];

	for (unsigned i = 0; i < PAIRS; i++)
		CHECK(weft_spawn(wait_rounds, &pairs[i], &waiters[i]) == 0);
	for (unsigned i = 0; i < PAIRS; i++)
		CHECK(weft_join(waiters[i], NULL) == 0);
	check_none_is_left();
	return arg;
}

static void run_beside_threads(void)
{
	pthread_t threads[PAIRS];

	for (unsigned i = 0; i < PAIRS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, wake_rounds, &pairs[i]), 0);
	assert_run(PAIRS + 1, waits_beside_threads, NULL);
	for (unsigned i = 0; i < PAIRS; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* Several wake-ups are early at once. */
static void test_threads_do_not_wait_for_the_switch(void **state)
{
	(void)state;
	prepare(weft_test_scale(200), true, true, 0);
	run_beside_threads();
}

static void *submit_waker(void *arg)
{
	CHECK(weft_submit(other, wake_rounds, &pairs[0], NULL) == 0);
	wait_rounds(&pairs[0]);
	check_none_is_left();
	return arg;
}

static void test_another_runtimes_worker_does_not_wait_for_the_switch(void **state)
{
	(void)state;
	other = assert_create(1);
	prepare(weft_test_scale(200), true, true, 0);
	assert_run(1, submit_waker, NULL);
	assert_int_equal(weft_runtime_destroy(other), 0);
}

/* The switch comes at every moment of the waker's looks, and of its leaving the wake-up to
 * others. */
static void test_early_wakes_race_with_the_switch(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		prepare(weft_test_scale(300), i % 2, false, (uint64_t)weft_now());
		run_beside_threads();
		prepare(weft_test_scale(300), i % 2, false, (uint64_t)weft_now());
		assert_run(2, beside_a_worker, NULL);
	}
}

/* The same with full fences. No runtime with the other kind is alive. */
static void test_early_wakes_race_with_the_switch_with_symmetric_fences(void **state)
{
	int mode = atomic_load_explicit(&weft__fence_mode, memory_order_relaxed);

	atomic_store_explicit(&weft__fence_mode, WEFT__FENCE_SYMMETRIC, memory_order_relaxed);
	test_early_wakes_race_with_the_switch(state);
	atomic_store_explicit(&weft__fence_mode, mode, memory_order_relaxed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_worker_does_not_wait_for_the_switch),
		cmocka_unit_test(test_threads_do_not_wait_for_the_switch),
		cmocka_unit_test(test_another_runtimes_worker_does_not_wait_for_the_switch),
		cmocka_unit_test(test_early_wakes_race_with_the_switch),
		cmocka_unit_test(test_early_wakes_race_with_the_switch_with_symmetric_fences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
