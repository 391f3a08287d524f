/* SPDX-License-Identifier: MIT */
/* After a burst: its stacks are given back, by whoever has nothing else to do, and then nobody does
 * anything any more. */
#include "harness.h"
#include "sched/core/runtime.h"
#include "tests/src/depot_peek.h"

#include <time.h>

#define BURST 4000

static weft_event gate;
static weft_latch arrived;

static void *wait_at_the_gate(void *arg)
{
	weft_latch_count_down(&arrived, 1);
	CHECK(weft_event_wait(&gate) == 0);
	return arg;
}

static void *burst(void *arg)
{
	static weft_task *tasks[BURST];
	unsigned count = weft_test_scale(BURST);

	weft_event_init(&gate);
	weft_latch_init(&arrived, count);
	for (unsigned i = 0; i < count; i++)
		CHECK(weft_spawn(wait_at_the_gate, NULL, &tasks[i]) == 0);
	CHECK(weft_latch_wait(&arrived) == 0);
	weft_event_set(&gate);
	for (unsigned i = 0; i < count; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	return arg;
}

static uint64_t sleeps(weft_runtime *rt)
{
	struct weft_stats stats;

	assert_int_equal(weft_stats(rt, &stats), 0);
	return stats.sleeps;
}

/* Nothing is due, and what was is freed, which comes a moment later. */
static void await_given_back(weft_runtime *rt, size_t used_max)
{
	const struct timespec nap = {.tv_nsec = 10000000};
	int64_t lost = weft_after(LOST_NS);

	while (due(&rt->depot) != WEFT_FOREVER || used_stacks() > used_max) {
		assert_true(weft_now() < lost);
		nanosleep(&nap, NULL);
	}
}

/* By a runtime that has nothing else to do; and then it sleeps for good. */
static void test_an_idle_runtime_gives_back_a_burst(void **state)
{
	static const unsigned counts[] = {1, 2, 4};
	const struct timespec nap = {.tv_nsec = 200000000};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		size_t before = used_stacks();
		weft_runtime *rt = assert_create(counts[i]);
		weft_task *task;

		assert_int_equal(weft_submit(rt, burst, NULL, &task), 0);
		assert_int_equal(weft_join(task, NULL), 0);
		/* Each worker keeps two chains at most. */
		await_given_back(rt, before + 2 * DEPOT_CHAIN * counts[i]);
		assert_int_equal(checks_failed(), 0);
		assert_true(used_stacks() >= before);
		nanosleep(&nap, NULL);
		uint64_t asleep = sleeps(rt);
		nanosleep(&nap, NULL);
		assert_int_equal(sleeps(rt), asleep);
		assert_int_equal(weft_runtime_destroy(rt), 0);
		assert_int_equal(used_stacks(), before);
	}
}

/* By one whose only awake worker runs a task that does not end: another one is woken for it. */
static void *burst_then_compute(void *arg)
{
	burst(NULL);
	struct worker *w = weft__worker();
	int64_t lost = weft_after(LOST_NS);

	while (due(&w->rt->depot) != WEFT_FOREVER && weft_now() < lost)
		sched_yield();
	CHECK(due(&w->rt->depot) == WEFT_FOREVER);
	return arg;
}

static void test_a_busy_runtime_gives_back_a_burst(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		assert_run(2, burst_then_compute, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_idle_runtime_gives_back_a_burst),
		cmocka_unit_test(test_a_busy_runtime_gives_back_a_burst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
