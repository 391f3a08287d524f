/* SPDX-License-Identifier: MIT */
/*
 * A task's state travels with it to another thread: errno, rounding, and the coroutines that it has
 * entered. With WEFT_CHAOS=1,hop a resume is on another worker, or is counted as one that is not.
 */
#include "harness.h"
#include "sched/core/tls.h"

#include "sched/core/runtime.h"

#include <fenv.h>
#include <pthread.h>

static const int roundings[] = {FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

/* Reads errno anew. glibc lets compilers keep its address over a call that may hop. */
static __attribute__((noinline)) int get_errno(void)
{
	__asm__ volatile("");
	return errno;
}

static __attribute__((noinline)) void set_errno(int value)
{
	__asm__ volatile("");
	errno = value;
}

static flag hops;

static void *carry(void *arg)
{
	int number = (int)(intptr_t)arg;
	int rounding = roundings[number % 4];

	CHECK(get_errno() == 0);
	CHECK(fegetround() == FE_TONEAREST);
	set_errno(number);
	CHECK(fesetround(rounding) == 0);
	for (unsigned i = 0; i < 50; i++) {
		int before = weft_worker_id();
		if (i % 10 == 9)
			CHECK(weft_sleep(1000) == 0);
		else
			weft_yield();
		if (weft_worker_id() != before)
			raise_flag(&hops);
		CHECK(get_errno() == number);
		CHECK(fegetround() == rounding);
	}
	return NULL; /* leaves errno and rounding behind; the next task on this stack starts afresh */
}

static void *spawn_carriers(void *arg)
{
	for (intptr_t i = 1; i <= (intptr_t)weft_test_scale(500); i++) {
		CHECK(weft_spawn(carry, (void *)i, NULL) == 0);
		if (i % 16 == 0)
			CHECK(weft_sleep(10000) == 0);
	}
	return arg;
}

static void test_errno_and_rounding_travel(void **state)
{
	(void)state;
	assert_run(1, spawn_carriers, NULL);
	assert_run(4, spawn_carriers, NULL);
	setenv("WEFT_CHAOS", "1,hop", 1);
	atomic_store_explicit(&hops, 0, memory_order_relaxed);
	assert_run(4, spawn_carriers, NULL);
	unsetenv("WEFT_CHAOS");
	assert_true(atomic_load_explicit(&hops, memory_order_relaxed) > weft_test_scale(500));
}

static void *leave_a_mess(void *arg)
{
	CHECK(get_errno() == 0);
	CHECK(fegetround() == FE_TONEAREST);
	set_errno(7);
	CHECK(fesetround(FE_DOWNWARD) == 0);
	return arg;
}

/* One after the other, on the same stack. They start over the leader, by a direct switch, and
 * without a switch. */
static void *spawn_messy_ones(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(300); i++) {
		weft_task *tasks[3];

		for (unsigned n = 0; n <= i % 3; n++)
			CHECK(weft_spawn(leave_a_mess, NULL, &tasks[n]) == 0);
		if (i % 2)
			weft_yield();
		for (unsigned n = 0; n <= i % 3; n++)
			CHECK(weft_join(tasks[n], NULL) == 0);
		CHECK(get_errno() == 0);
		CHECK(fegetround() == FE_TONEAREST);
	}
	return arg;
}

static void test_a_reused_stack_starts_afresh(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, spawn_messy_ones, NULL);
}

/* A hop is real: it is another thread. */
static __attribute__((noinline)) pthread_t this_thread(void)
{
	__asm__ volatile("");
	return pthread_self();
}

/* Sums of all workers: how often a worker has passed a task on, and how often it ran the task
 * itself because no other came by. */
static void count_passes(uint64_t *ret_passed, uint64_t *ret_kept)
{
	struct weft_runtime *rt = weft__worker()->rt;

	*ret_passed = *ret_kept = 0;
	for (unsigned i = 0; i < weft_runtime_workers(NULL); i++) {
		const struct chaos *c = &rt->records[i]->chaos;

		*ret_passed += atomic_load_explicit(&c->passed, memory_order_relaxed);
		*ret_kept += atomic_load_explicit(&c->kept, memory_order_relaxed);
	}
}

/* Fewer than the worker passes on. */
#define PASSES_MIN 1000

/* One task, so no other worker computes. A worker that does not come by was not run by the
 * system. */
static void *count_hops(void *arg)
{
	unsigned count = weft_test_scale(1000), same = 0;
	uint64_t passed, kept;
	struct weft_stats stats;

	for (unsigned i = 0; i < count; i++) {
		pthread_t before = this_thread();
		int id = weft_worker_id();
		weft_yield();
		CHECK(!pthread_equal(before, this_thread()) == (id != weft_worker_id()));
		same += id == weft_worker_id();
	}
	count_passes(&passed, &kept);
	CHECK(same < count);
	CHECK(same == kept);
	CHECK(passed >= kept * PASSES_MIN);
	CHECK(weft_runtime_stats(NULL, &stats) == 0);
	CHECK(stats.hops + kept == count);
	return arg;
}

static void test_chaos_hops_unless_no_other_worker_comes_by(void **state)
{
	(void)state;
	setenv("WEFT_CHAOS", "1,hop", 1);
	assert_run(2, count_hops, NULL);
	assert_run(4, count_hops, NULL);
	unsetenv("WEFT_CHAOS");
}

static flag done_yielding;

static void *compute_until_done(void *arg)
{
	raise_flag(arg);
	while (!is_raised(&done_yielding, 1))
		;
	return arg;
}

/* The other worker computes, so each resume is kept. */
static void *yield_beside_one_that_computes(void *arg)
{
	flag computes = 0;
	weft_task *task;
	uint64_t passed, kept;
	unsigned kept_before, count = weft_test_scale(20);

	atomic_store_explicit(&done_yielding, 0, memory_order_relaxed);
	CHECK(weft_spawn(compute_until_done, &computes, &task) == 0);
	while (!is_raised(&computes, 1))
		weft_yield();
	count_passes(&passed, &kept);
	kept_before = (unsigned)kept;
	for (unsigned i = 0; i < count; i++) {
		int id = weft_worker_id();
		weft_yield();
		CHECK(id == weft_worker_id());
	}
	count_passes(&passed, &kept);
	CHECK(kept == kept_before + count);
	CHECK(passed >= kept * PASSES_MIN);
	raise_flag(&done_yielding);
	CHECK(weft_join(task, NULL) == 0);
	return arg;
}

static void test_chaos_counts_each_resume_that_does_not_hop(void **state)
{
	(void)state;
	setenv("WEFT_CHAOS", "1,hop", 1);
	assert_run(2, yield_beside_one_that_computes, NULL);
	unsetenv("WEFT_CHAOS");
}

/* Yields the numbers from 0 and waits in between. It has errno and rounding of its own. */
static void *generate(void *arg)
{
	uintptr_t step = (uintptr_t)arg;
	weft_coro *self = weft_coro_self();

	set_errno(77);
	CHECK(fesetround(FE_UPWARD) == 0);
	for (uintptr_t i = 0; i < 20; i++) {
		weft_task *task;

		CHECK(weft_coro_inside() && weft_coro_self() == self);
		switch (i % 4) {
		case 0:
			weft_yield();
			break;
		case 1:
			CHECK(weft_sleep(1000) == 0);
			break;
		case 2:
			CHECK(weft_spawn(give_back, NULL, &task) == 0);
			CHECK(weft_join(task, NULL) == 0);
			break;
		}
		CHECK(weft_coro_inside() && weft_coro_self() == self);
		CHECK(get_errno() == 77);
		CHECK(fegetround() == FE_UPWARD);
		CHECK(weft_coro_yield((void *)i) == (void *)(i + step));
	}
	return &hops;
}

static void *use_generator(void *arg)
{
	weft_task *self = weft_self();
	weft_coro *co = NULL;
	void *out = NULL;

	CHECK(weft_coro_create(generate, 0, &co) == 0);
	set_errno(5);
	CHECK(weft_coro_enter(co, (void *)3, &out) == 0);
	for (uintptr_t i = 0; i < 20; i++) {
		CHECK(out == (void *)i);
		CHECK(!weft_coro_inside() && !weft_coro_done(co));
		CHECK(weft_self() == self);
		CHECK(get_errno() == 5);
		CHECK(fegetround() == FE_TONEAREST);
		weft_yield();
		CHECK(weft_coro_enter(co, (void *)(i + 3), &out) == 0);
	}
	CHECK(out == &hops && weft_coro_done(co));
	weft_coro_destroy(co);
	return arg;
}

/* A generator that goes from task to task. */
static void *enter_once(void *arg)
{
	void *out = NULL;

	weft_yield();
	CHECK(weft_coro_enter(arg, (void *)3, &out) == 0);
	return out;
}

static void *use_generators(void *arg)
{
	for (unsigned i = 0; i < 20; i++)
		CHECK(weft_spawn(use_generator, NULL, NULL) == 0);

	weft_coro *co = NULL;
	weft_task *task;
	void *out = arg;
	CHECK(weft_coro_create(give_back, 0, &co) == 0);
	CHECK(weft_spawn(enter_once, co, &task) == 0);
	CHECK(weft_join(task, &out) == 0);
	CHECK(out == (void *)3 && weft_coro_done(co));
	weft_coro_destroy(co);
	return arg;
}

static void test_generators_wait_and_hop(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, use_generators, NULL);
	setenv("WEFT_CHAOS", "1,hop", 1);
	assert_run(4, use_generators, NULL);
	unsetenv("WEFT_CHAOS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errno_and_rounding_travel),
		cmocka_unit_test(test_a_reused_stack_starts_afresh),
		cmocka_unit_test(test_chaos_hops_unless_no_other_worker_comes_by),
		cmocka_unit_test(test_chaos_counts_each_resume_that_does_not_hop),
		cmocka_unit_test(test_generators_wait_and_hop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
