/* SPDX-License-Identifier: MIT */
/* The wait that cancels its group at a deadline. Nothing of the group runs afterwards. */
#include "tests/sched/core/harness.h"

#include <pthread.h>

#define SOON ((int64_t)300000)

static flag ended, let_go;

static void *as_result(int error)
{
	return (void *)(intptr_t)error;
}

/* Fails because it is cancelled. */
static void *wait_and_fail(void *arg)
{
	int rc = weft_sleep_until(WEFT_FOREVER);

	CHECK(rc == -ECANCELED && weft_cancelled());
	raise_flag(&ended);
	(void)arg;
	return as_result(rc);
}

/* Fails by itself. Its siblings are cancelled, but the wait is not late because of that. */
static void *fail_now(void *arg)
{
	(void)arg;
	return as_result(-EIO);
}

/* Goes on for a while, even if it is cancelled. */
static void *take_long(void *arg)
{
	weft_cancel_mask();
	while (!is_raised(&let_go, 1))
		CHECK(weft_sleep(10000) == 0);
	weft_cancel_unmask();
	return arg;
}

static void *let_it_go(void *arg)
{
	CHECK(weft_sleep(4 * SOON) == 0);
	raise_flag(&let_go);
	return arg;
}

static void reset(void)
{
	atomic_store_explicit(&ended, 0, memory_order_relaxed);
	atomic_store_explicit(&let_go, 0, memory_order_relaxed);
}

static void *wait_or_cancel(void *arg)
{
	weft_group g;

	reset();
	weft_group_init(&g);
	CHECK(weft_group_wait_or_cancel_until(NULL, WEFT_FOREVER) == -EINVAL);
	/* A wait for nothing, with any deadline. */
	CHECK(weft_group_wait_or_cancel_until(&g, 0) == 0);
	CHECK(weft_group_wait_or_cancel_until(&g, WEFT_FOREVER) == 0);
	/* In time. */
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_group_spawn(&g, give_back, NULL) == 0);
	CHECK(weft_group_wait_or_cancel_until(&g, weft_after(LOST_NS)) == 0);
	/* Late: with a deadline ahead, with one that has passed, and without waiting. */
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_group_spawn(&g, wait_and_fail, NULL) == 0);
	CHECK(weft_group_wait_or_cancel_until(&g, weft_after(SOON)) == -ETIMEDOUT);
	CHECK(is_raised(&ended, 3));
	CHECK(!weft_cancelled());
	weft_group_fini(&g);
	for (int64_t deadline = -1; deadline <= 1; deadline++) {
		weft_group_init(&g);
		CHECK(weft_group_spawn(&g, wait_and_fail, NULL) == 0);
		CHECK(weft_group_wait_or_cancel_until(&g, deadline) == -ETIMEDOUT);
		weft_group_fini(&g);
	}
	return arg;
}

/* The first error is the reason if it comes before the deadline. */
static void *fail_before(void *arg)
{
	weft_task *helper;
	weft_group g;

	reset();
	weft_group_init(&g);
	CHECK(weft_group_spawn(&g, wait_and_fail, NULL) == 0);
	CHECK(weft_group_spawn(&g, take_long, NULL) == 0);
	CHECK(weft_group_spawn(&g, fail_now, NULL) == 0);
	CHECK(yield_for(&ended, 1)); /* so the member has failed */
	CHECK(weft_spawn(let_it_go, NULL, &helper) == 0);
	CHECK(weft_group_wait_or_cancel_until(&g, weft_after(SOON)) == -EIO);
	CHECK(is_raised(&let_go, 1));
	CHECK(weft_join(helper, NULL) == 0);
	weft_group_fini(&g);
	return arg;
}

static void *wait_cancelled(void *arg)
{
	weft_group g;

	weft_group_init(&g);
	CHECK(weft_group_spawn(&g, take_long, NULL) == 0);
	raise_flag(&ended);
	/* Cancelled first and then late: the cancellation is the reason. */
	CHECK(weft_group_wait_or_cancel_until(&g, weft_after(LOST_NS)) == -ECANCELED);
	weft_group_fini(&g);
	return arg;
}

static void *cancel_the_waiter(void *arg)
{
	weft_task *waiter, *helper;

	reset();
	CHECK(weft_spawn(wait_cancelled, NULL, &waiter) == 0);
	CHECK(yield_for(&ended, 1));
	CHECK(weft_sleep(SOON) == 0);
	CHECK(weft_cancel(waiter) == 0);
	CHECK(weft_spawn(let_it_go, NULL, &helper) == 0);
	CHECK(weft_join(waiter, NULL) == 0);
	CHECK(weft_join(helper, NULL) == 0);
	return arg;
}

static void *wait_for_itself(void *g)
{
	CHECK(weft_group_wait_or_cancel_until(g, 1) == -EDEADLK);
	return NULL;
}

static void *deadlock(void *arg)
{
	weft_group g;

	weft_group_init(&g);
	CHECK(weft_group_spawn(&g, wait_for_itself, &g) == 0);
	CHECK(weft_group_wait(&g) == 0);
	weft_group_fini(&g);
	return arg;
}

static void test_in_tasks(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		for (unsigned i = 0; i < 5; i++) {
			assert_run(workers, wait_or_cancel, NULL);
			assert_run(workers, fail_before, NULL);
			assert_run(workers, cancel_the_waiter, NULL);
			assert_run(workers, deadlock, NULL);
		}
	}
	for (unsigned seed = 1; seed <= weft_test_scale(20); seed++) {
		set_number("WEFT_CHAOS", seed);
		assert_run(2, wait_or_cancel, NULL);
		assert_run(3, fail_before, NULL);
	}
	unsetenv("WEFT_CHAOS");
}

/* A plain thread waits for members that a task has spawned. */
static weft_group shared;

static void *wait_on_a_thread(void *arg)
{
	CHECK(weft_group_wait_or_cancel_until(&shared, weft_after(SOON)) == -ETIMEDOUT);
	CHECK(is_raised(&ended, 3));
	return arg;
}

static void *spawn_for_a_thread(void *arg)
{
	pthread_t thread;

	reset();
	weft_group_init(&shared);
	for (unsigned i = 0; i < 3; i++)
		CHECK(weft_group_spawn(&shared, wait_and_fail, NULL) == 0);
	CHECK(pthread_create(&thread, NULL, wait_on_a_thread, NULL) == 0);
	CHECK(yield_for(&ended, 3));
	CHECK(pthread_join(thread, NULL) == 0);
	weft_group_fini(&shared);
	return arg;
}

static void test_on_a_thread(void **state)
{
	(void)state;
	assert_run(1, spawn_for_a_thread, NULL);
	assert_run(3, spawn_for_a_thread, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_tasks),
		cmocka_unit_test(test_on_a_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
