/* SPDX-License-Identifier: MIT */
/* Counters: what adds up when everything has ended, and what stays 0. */
#include "harness.h"

static void *yield_once(void *arg)
{
	weft_yield();
	return arg;
}

static void *spawn_some(void *arg)
{
	weft_task *task;
	weft_forked fork;

	for (unsigned i = 0; i < 100; i++) {
		CHECK(weft_spawn(yield_once, NULL, NULL) == 0);
		CHECK(weft_spawn(give_back, NULL, &task) == 0);
		CHECK(weft_join(task, NULL) == 0);
		weft_fork(&fork, give_back, NULL);
		weft_fork_join(&fork);
	}
	CHECK(weft_sleep(1000) == 0);
	return arg;
}

/* Waits until everything that was submitted has ended. Only then do the counts stand still. */
static struct weft_stats await_end(weft_runtime *rt)
{
	int64_t lost = weft_after(LOST_NS);
	struct weft_stats stats = {0};

	do {
		sched_yield();
		assert_int_equal(weft_runtime_stats(rt, &stats), 0);
	} while (stats.live > 0 && weft_now() < lost);
	return stats;
}

static void test_sums(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++) {
		weft_runtime *rt = assert_create(workers);
		struct weft_stats sum = {0}, s;

		assert_int_equal(weft_runtime_stats(rt, &s), 0);
		assert_int_equal(s.spawned, 0);
		assert_int_equal(s.completed, 0);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(weft_submit(rt, spawn_some, NULL, NULL), 0);
		s = await_end(rt);
		assert_int_equal(s.live, 0);
		assert_int_equal(s.spawned, 3 * (1 + 200));
		assert_int_equal(s.completed, s.spawned);
		assert_int_equal(s.forked, 300);
		assert_in_range(s.inlined, workers == 1 ? 300 : 0, 300);
		assert_int_equal(s.yields, 300);
		assert_in_range(s.injected, 3, 3 + 300);
		assert_in_range(s.parks, 3, UINT32_MAX);
		assert_in_range(s.timers, 0, 3);
		assert_in_range(s.switches, 3, UINT32_MAX);
		assert_true(s.stolen >= s.steals);
		if (workers == 1) {
			assert_int_equal(s.hops, 0);
			assert_int_equal(s.steals, 0);
			assert_int_equal(s.stolen, 0);
		}
		for (unsigned i = 0; i < workers; i++) {
			struct weft_stats one;

			assert_int_equal(weft_worker_stats(rt, i, &one), 0);
			assert_int_equal(one.live, 0);
			sum.spawned += one.spawned;
			sum.completed += one.completed;
			sum.forked += one.forked;
			sum.inlined += one.inlined;
			sum.yields += one.yields;
			sum.parks += one.parks;
		}
		assert_int_equal(sum.spawned + 3, s.spawned); /* three from outside */
		assert_int_equal(sum.completed, s.completed);
		assert_int_equal(sum.forked, s.forked);
		assert_int_equal(sum.inlined, s.inlined);
		assert_int_equal(sum.yields, s.yields);
		assert_int_equal(sum.parks, s.parks);
		assert_int_equal(weft_runtime_destroy(rt), 0);
	}
	assert_int_equal(checks_failed(), 0);
}

static void *count_live(void *arg)
{
	struct weft_stats s;
	weft_task *tasks[10];

	CHECK(weft_runtime_stats(NULL, &s) == 0);
	CHECK(s.live == 1 && s.spawned == 1);
	for (unsigned i = 0; i < 10; i++)
		CHECK(weft_spawn(sleep_for_ever, NULL, &tasks[i]) == 0);
	CHECK(weft_runtime_stats(NULL, &s) == 0);
	CHECK(s.live == 11);
	for (unsigned i = 0; i < 10; i++) {
		CHECK(weft_cancel(tasks[i]) == 0);
		CHECK(weft_join(tasks[i], NULL) == 0);
	}
	CHECK(weft_runtime_stats(NULL, &s) == 0);
	CHECK(s.live == 1 && s.spawned == 11 && s.completed == 10);
	CHECK(weft_runtime_stats(NULL, NULL) == -EINVAL);
	CHECK(weft_worker_stats(NULL, 0, NULL) == -EINVAL);
	CHECK(weft_worker_stats(NULL, 1, &s) == -EINVAL);
	return arg;
}

static void test_live(void **state)
{
	(void)state;
	assert_run(1, count_live, NULL);
}

static void test_arguments(void **state)
{
	weft_runtime *rt = assert_create(2);
	struct weft_stats s = {.spawned = 5};
	struct {
		struct weft_stats stats;
		uint64_t more;
	} larger = {.more = 5};

	(void)state;
	assert_int_equal(weft_runtime_stats(rt, NULL), -EINVAL);
	assert_int_equal(weft_runtime_stats(NULL, NULL), -EINVAL);
	assert_int_equal(weft_runtime_stats(NULL, &s), -EPERM);
	assert_int_equal(weft_worker_stats(NULL, 0, &s), -EPERM);
	assert_int_equal(weft_worker_stats(rt, 2, &s), -EINVAL);
	assert_int_equal(weft_worker_stats(rt, 0, NULL), -EINVAL);
	assert_int_equal(s.spawned, 5);
	/* A struct of an older or a newer header. */
	s.completed = 6;
	assert_int_equal(weft_runtime_stats_sized(rt, &s, sizeof(s.spawned)), 0);
	assert_int_equal(s.spawned, 0);
	assert_int_equal(s.completed, 6);
	assert_int_equal(weft_runtime_stats_sized(rt, &larger.stats, sizeof(larger)), 0);
	assert_int_equal(larger.more, 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

static void run_with_stats(void *arg)
{
	setenv("WEFT_STATS", "1", 1);
	exit(weft_run(give_back, arg, NULL) == 0 ? 0 : 1);
}

static void test_they_are_printed_on_demand(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, run_with_stats, NULL);
	assert_true(child_exited_with(&child, 0));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, "spawned 1 completed 1 "));
}

#define FORGOTTEN 10000

static void *forget_handles(void *arg)
{
	weft_task *task;

	for (unsigned i = 0; i < FORGOTTEN; i++) {
		CHECK(weft_spawn(give_back, NULL, &task) == 0);
		if (i % 64 == 0)
			weft_yield();
	}
	for (unsigned i = 0; i < 100; i++) { /* these are not */
		CHECK(weft_spawn(give_back, NULL, &task) == 0);
		CHECK((i % 2 ? weft_join(task, NULL) : weft_detach(task)) == 0);
	}
	return arg;
}

static void run_and_forget(void *workers)
{
	set_number("WEFT_WORKERS", *(unsigned *)workers);
	setenv("WEFT_STATS", "1", 1);
	exit(weft_run(forget_handles, workers, NULL) == 0 && checks_failed() == 0 ? 0 : 1);
}

static void submit_and_forget(void *workers)
{
	struct weft_runtime_options options = {.workers = *(unsigned *)workers};
	weft_runtime *rt;
	weft_task *task;

	setenv("WEFT_STATS", "1", 1);
	if (weft_runtime_create(&options, &rt) < 0)
		exit(1);
	for (unsigned i = 0; i < FORGOTTEN; i++)
		CHECK(weft_submit(rt, give_back, NULL, &task) == 0);
	weft_detach(task);
	exit(weft_runtime_destroy(rt) == 0 && checks_failed() == 0 ? 0 : 1);
}

static void test_forgotten_handles_are_counted(void **state)
{
	struct child child;

	(void)state;
#if CHILD_TSAN
	skip(); /* too many tasks for the tool */
#endif
	for (unsigned workers = 1; workers <= 4; workers += 3) {
		child_run(&child, run_and_forget, &workers);
		assert_true(child_exited_with(&child, 0));
		assert_non_null(strstr(child.said, "stats: 10000 handles "));
		child_run(&child, submit_and_forget, &workers);
		assert_true(child_exited_with(&child, 0));
		assert_non_null(strstr(child.said, "stats: 9999 handles "));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: ThreadSanitizer lets no child start threads once this process has had
		 * coroutines. */
		cmocka_unit_test(test_they_are_printed_on_demand),
		cmocka_unit_test(test_forgotten_handles_are_counted),
		cmocka_unit_test(test_sums),
		cmocka_unit_test(test_live),
		cmocka_unit_test(test_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
