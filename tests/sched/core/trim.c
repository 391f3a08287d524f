/* SPDX-License-Identifier: MIT */
/* weft_trim() gives back everything that is free, at once: stacks of pools and depots, the stacks
 * that workers and the calling thread keep, and control blocks. */
#include "../../src/depot_peek.h"
#include "crowd.h"
#include "sched/core/runtime.h"
#include "sched/core/tls.h"

#include <time.h>

#define BURST 500

/* Half of them have stacks of uncommon size. */
static void *burst(void *arg)
{
	struct weft_task_options large = {.stack_size = (size_t)400 << 10};
	unsigned count = weft_test_scale(BURST);

	crowd_gather(count, crowd_wait, NULL, &large);
	crowd_disperse(count);
	return arg;
}

static struct stack_counts counts(void)
{
	struct stack_counts now;

	weft__stack_counts(&now);
	return now;
}

/*
 * The runtime's reserve is never given back (reserve.h), and nothing else will go by itself. A
 * worker that has given everything back may look for work once more. It then takes a new stack for
 * what it may find, and keeps that. So the call is repeated.
 */
static void await_nothing_free(size_t used)
{
	const struct timespec nap = {.tv_nsec = 1000000};
	int64_t lost = weft_after(LOST_NS);

	while (counts().used > used || counts().dirty > 0) {
		if (weft_now() >= lost)
			print_message("%zu stacks in use, %zu dirty\n", counts().used,
				      counts().dirty);
		assert_true(weft_now() < lost);
		nanosleep(&nap, NULL);
		assert_int_equal(weft_trim(), 0);
	}
}

static void test_workers_give_back_what_they_keep(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers *= 2) {
		weft_runtime *rt = assert_create(workers);
		weft_task *task;

		assert_int_equal(weft_submit(rt, burst, NULL, &task), 0);
		assert_int_equal(weft_join(task, NULL), 0);
		assert_int_equal(weft_trim(), 0);
		await_nothing_free(1);
		/* They sleep, and keep nothing. A woken worker takes a new stack. */
		assert_int_equal(weft_submit(rt, give_back, &crowd_gate, &task), 0);
		assert_int_equal(weft_join(task, NULL), 0);
		assert_int_equal(weft_trim(), 0);
		await_nothing_free(1);
		assert_int_equal(weft_runtime_destroy(rt), 0);
		assert_int_equal(checks_failed(), 0);
	}
}

static void *trim_in_a_task(void *arg)
{
	burst(NULL);
	CHECK(weft_trim() == 0);
	/* Its own stack and the reserves. There is no other worker. */
	if (weft_runtime_workers(NULL) == 1)
		CHECK(counts().used <= 3);
	burst(NULL);
	CHECK(weft_trim() == 0);
	return arg;
}

static void test_a_task_may_trim(void **state)
{
	(void)state;
	assert_run(1, trim_in_a_task, NULL);
	assert_run(3, trim_in_a_task, NULL);
}

/* --- control blocks --- */

#define BLOCKS 5000

static size_t slabs_of(const struct task_pool *pool)
{
	size_t count = 0;

	for (const struct task_slab *slab = pool->slabs; slab; slab = slab->next)
		count++;
	return count;
}

static void *spawn_many(void *arg)
{
	static weft_task *tasks[BLOCKS];
	unsigned count = weft_test_scale(BLOCKS);
	const struct task_pool *pool = &weft__worker()->tasks;

	for (unsigned i = 0; i < count; i++)
		CHECK(weft_spawn(give_back, NULL, &tasks[i]) == 0);
	size_t slabs = slabs_of(pool);
	for (unsigned i = 1; i < count; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	CHECK(weft_trim() == 0);
	CHECK(slabs_of(pool) == 1); /* the slab of the first one, whose handle is not joined */
	CHECK(slabs > 1 || count < BLOCKS);
	CHECK(weft_join(tasks[0], NULL) == 0);
	CHECK(weft_trim() == 0);
	CHECK(slabs_of(pool) == 0);
	return arg;
}

static void test_control_blocks_are_given_back(void **state)
{
	(void)state;
	assert_run(1, spawn_many, NULL); /* one worker, so it does not hop */
}

static void *spawn_a_few(void *arg)
{
	weft_task *task;

	for (unsigned i = 0; i < 10; i++) {
		CHECK(weft_spawn(give_back, NULL, &task) == 0);
		CHECK(weft_join(task, NULL) == 0);
	}
	return arg;
}

static void *count_slabs(void *arg)
{
	*(size_t *)arg = slabs_of(&weft__worker()->tasks);
	return arg;
}

static size_t slabs_of_the_worker(weft_runtime *rt)
{
	size_t slabs = SIZE_MAX;
	weft_task *task;

	assert_int_equal(weft_submit(rt, count_slabs, &slabs, &task), 0);
	assert_int_equal(weft_join(task, NULL), 0);
	return slabs;
}

static void test_control_blocks_of_a_sleeping_worker_are_given_back(void **state)
{
	weft_runtime *rt = assert_create(1);
	int64_t lost = weft_after(LOST_NS);
	weft_task *task;

	(void)state;
	assert_int_equal(weft_submit(rt, spawn_a_few, NULL, &task), 0);
	assert_int_equal(weft_join(task, NULL), 0);
	assert_true(slabs_of_the_worker(rt) > 0);
	assert_int_equal(weft_trim(), 0);
	while (slabs_of_the_worker(rt) > 0 && weft_now() < lost)
		sched_yield();
	assert_int_equal(slabs_of_the_worker(rt), 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

static size_t outside_slabs(weft_runtime *rt)
{
	weft__lock(&rt->outside_lock);
	size_t slabs = slabs_of(&rt->outside_tasks);
	weft__unlock(&rt->outside_lock);
	return slabs;
}

static void test_control_blocks_of_submitted_tasks_are_given_back(void **state)
{
	weft_runtime *rt = assert_create(2);
	int64_t lost = weft_after(LOST_NS);
	weft_task *task;

	(void)state;
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(weft_submit(rt, give_back, NULL, &task), 0);
		assert_int_equal(weft_join(task, NULL), 0);
	}
	assert_true(outside_slabs(rt) > 0);
	assert_int_equal(weft_trim(), 0);
	/* A worker that was busy does it at its next sleep. */
	while (outside_slabs(rt) > 0 && weft_now() < lost)
		sched_yield();
	assert_int_equal(outside_slabs(rt), 0);
	assert_int_equal(weft_submit(rt, give_back, NULL, &task), 0);
	assert_int_equal(weft_join(task, NULL), 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

static void test_coroutines_of_the_thread_are_given_back(void **state)
{
	weft_coro *coros[20];

	(void)state;
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(weft_coro_create(give_back, (size_t)64 << 10, &coros[i]), 0);
	for (unsigned i = 0; i < 20; i++)
		weft_coro_destroy(coros[i]);
	assert_int_equal(weft_trim(), 0);
	assert_int_equal(counts().used, 0);
	assert_int_equal(counts().dirty, 0);
	assert_int_equal(counts().arenas, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_workers_give_back_what_they_keep),
		cmocka_unit_test(test_a_task_may_trim),
		cmocka_unit_test(test_control_blocks_are_given_back),
		cmocka_unit_test(test_control_blocks_of_a_sleeping_worker_are_given_back),
		cmocka_unit_test(test_control_blocks_of_submitted_tasks_are_given_back),
		cmocka_unit_test(test_coroutines_of_the_thread_are_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
