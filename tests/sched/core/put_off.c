/* SPDX-License-Identifier: MIT */
/*
 * A task whose wait has begun does nothing slow before its switch. If its next pick needs a new
 * stack, or comes from the injection queue, its leader makes that pick (pick.c). The next task to
 * run tells others about the waiting task's deadline. The library asserts that nothing slow happens
 * before the switch. Here every pick of a waiting task would need something slow.
 */
#include "harness.h"
#include "sched/core/runtime.h"
#include "sched/core/tls.h"

#define TASKS 300

static weft_event gate;
static flag arrived;

static void *wait_at_gate(void *arg)
{
	raise_flag(&arrived);
	CHECK(weft_event_wait(&gate) == 0);
	return arg;
}

static void *wait_after_yields(void *arg)
{
	for (unsigned i = 0; i < 3; i++)
		weft_yield();
	return wait_at_gate(arg);
}

struct kind {
	unsigned workers;
	weft_fn *fn;
	struct weft_task_options options;
	const char *chaos; /* with it the queues are tiny, and rings overflow */
};

/* None ends before all have begun, so each needs a stack of its own. */
static void *spawn_them(void *arg)
{
	const struct kind *kind = arg;
	unsigned count = weft_test_scale(TASKS);
	weft_task *tasks[TASKS];

	weft_event_init(&gate);
	for (unsigned i = 0; i < count; i++)
		CHECK(weft_spawn_with(&kind->options, kind->fn, &tasks[i], &tasks[i]) == 0);
	CHECK(yield_for(&arrived, count));
	weft_event_set(&gate);
	for (unsigned i = 0; i < count; i++) {
		void *result = NULL;
		CHECK(weft_join(tasks[i], &result) == 0);
		CHECK(result == &tasks[i]);
	}
	CHECK(!weft__worker()->pick.put_off);
	return NULL;
}

static void run(struct kind kind)
{
	arrived = 0;
	if (kind.chaos)
		setenv("WEFT_CHAOS", kind.chaos, 1);
	assert_run(kind.workers, spawn_them, &kind);
	if (kind.chaos)
		unsetenv("WEFT_CHAOS");
}

static void test_a_new_stack_puts_the_pick_off(void **state)
{
	(void)state;
	run((struct kind){.workers = 1, .fn = wait_at_gate});
	run((struct kind){.workers = 3, .fn = wait_at_gate});
}

/* These have been taken out of their queue when the worker notices. */
static void test_an_uncommon_stack_puts_the_pick_off(void **state)
{
	struct weft_task_options options = {.stack_size = 40000};

	(void)state;
	run((struct kind){.workers = 1, .fn = wait_at_gate, .options = options});
	run((struct kind){.workers = 3, .fn = wait_after_yields, .options = options});
	options.pinned = true;
	run((struct kind){.workers = 1, .fn = wait_at_gate, .options = options});
	run((struct kind){.workers = 3, .fn = wait_after_yields, .options = options});
}

static void test_a_new_stack_for_a_pinned_task_puts_the_pick_off(void **state)
{
	struct weft_task_options options = {.pinned = true};

	(void)state;
	run((struct kind){.workers = 1, .fn = wait_at_gate, .options = options});
	run((struct kind){.workers = 3, .fn = wait_after_yields, .options = options});
}

static void test_an_overflowed_ring_puts_the_pick_off(void **state)
{
	static const char *const seeds[] = {"1", "2", "3", "4,hop", "5,hop", "6,virtual"};

	(void)state;
	for (unsigned i = 0; i < sizeof seeds / sizeof seeds[0]; i++)
		run((struct kind){
			.workers = i < 3 ? 2 : 1, .fn = wait_after_yields, .chaos = seeds[i]});
}

static void *sleep_until(void *arg)
{
	CHECK(weft_sleep_until((int64_t)(intptr_t)arg) == 0);
	raise_flag(&arrived);
	return arg;
}

/* It has started, so the sleepers switch to it directly. */
static void *yield_until_all_arrived(void *arg)
{
	CHECK(yield_for(&arrived, weft_test_scale(TASKS)));
	return arg;
}

/* Each deadline is the earliest one, and sleeping workers and the timekeeper must be told. */
static void *sleep_until_earlier_each(void *arg)
{
	int64_t last = weft_after((int64_t)weft_test_scale(TASKS) * 100000);
	unsigned count = weft_test_scale(TASKS);
	weft_task *tasks[TASKS], *yielder;

	arrived = 0;
	CHECK(weft_spawn(yield_until_all_arrived, NULL, &yielder) == 0);
	weft_yield();
	for (unsigned i = 0; i < count; i++) {
		void *deadline = (void *)(intptr_t)(last - 50000 * (int64_t)i);
		CHECK(weft_spawn(sleep_until, deadline, &tasks[i]) == 0);
	}
	for (unsigned i = 0; i < count; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	CHECK(weft_join(yielder, NULL) == 0);
	return arg;
}

static void test_a_deadline_is_announced_after_the_switch(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++)
		assert_run(workers, sleep_until_earlier_each, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_new_stack_puts_the_pick_off),
		cmocka_unit_test(test_an_uncommon_stack_puts_the_pick_off),
		cmocka_unit_test(test_a_new_stack_for_a_pinned_task_puts_the_pick_off),
		cmocka_unit_test(test_an_overflowed_ring_puts_the_pick_off),
		cmocka_unit_test(test_a_deadline_is_announced_after_the_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
