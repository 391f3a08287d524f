/* SPDX-License-Identifier: MIT */
/* Time and sleeping. There are no upper bounds, because a busy machine may be late. A sleep is
 * never too short and never lost. */
#include "harness.h"
#include "src/base/random.h"
#include "task_peek.h"

#include <time.h>

static void test_after(void **state)
{
	int64_t before, after;

	(void)state;
	before = weft_now();
	after = weft_after(1000);
	assert_true(after >= before + 1000 && after <= weft_now() + 1000);
	before = weft_now();
	after = weft_after(-1000);
	assert_true(after >= before && after <= weft_now());
	before = weft_now();
	after = weft_after(INT64_MIN);
	assert_true(after >= before && after <= weft_now());
	assert_true(weft_after(WEFT_FOREVER) == WEFT_FOREVER);
	assert_true(weft_after(WEFT_FOREVER - 1) == WEFT_FOREVER);
	assert_true(weft_after(WEFT_FOREVER - weft_now() - LOST_NS) < WEFT_FOREVER);
}

static void test_now_is_the_monotonic_clock(void **state)
{
	struct timespec ts;

	(void)state;
	int64_t before = weft_now();
	clock_gettime(CLOCK_MONOTONIC, &ts);
	int64_t now = (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
	assert_true(before <= now && now <= weft_now());
}

static void *sleep_in_every_way(void *arg)
{
	int64_t deadline;

	CHECK(weft_sleep(0) == 0);
	CHECK(weft_sleep(-1) == 0);
	CHECK(weft_sleep(INT64_MIN) == 0);
	CHECK(weft_sleep_until(0) == 0);
	CHECK(weft_sleep_until(-1) == 0);
	CHECK(weft_sleep_until(weft_now() - 1000000) == 0);
	for (unsigned i = 0; i < weft_test_scale(50); i++) {
		deadline = weft_after(1000 * i);
		CHECK(weft_sleep_until(deadline) == 0);
		CHECK(weft_now() >= deadline);
		int64_t before = weft_now();
		CHECK(weft_sleep(1000 * i) == 0);
		CHECK(weft_now() >= before + 1000 * i);
	}
	return arg;
}

static void test_in_a_task(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, sleep_in_every_way, NULL);
}

static void test_on_a_plain_thread(void **state)
{
	(void)state;
	sleep_in_every_way(NULL);
	assert_int_equal(checks_failed(), 0);
}

static flag woken;

static void *sleep_until_deadline(void *arg)
{
	int64_t deadline = (int64_t)(intptr_t)arg;

	CHECK(weft_sleep_until(deadline) == 0);
	CHECK(weft_now() >= deadline);
	raise_flag(&woken);
	return NULL;
}

static void *spawn_many_sleepers(void *arg)
{
	struct weft__random random;

	weft__random_seed(&random, 1);
	for (unsigned i = 0; i < (CHILD_TSAN ? 500 : weft_test_scale(20000)); i++) {
		int64_t deadline = weft_after(weft__random_below(&random, 50000000));
		CHECK(weft_spawn(sleep_until_deadline, (void *)(intptr_t)deadline, NULL) == 0);
	}
	return arg;
}

static void test_many_sleepers(void **state)
{
	unsigned count = CHILD_TSAN ? 500 : weft_test_scale(20000);

	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++) {
		atomic_store_explicit(&woken, 0, memory_order_relaxed);
		assert_run(workers, spawn_many_sleepers, NULL);
		assert_int_equal(atomic_load_explicit(&woken, memory_order_relaxed), count);
	}
}

/*
 * A long sleeper is not in the way of later ones with earlier deadlines, and these do not keep it
 * for ever. Only the clock wakes tasks here.
 */
static void *sleep_behind_a_longer_one(void *arg)
{
	int64_t far = weft_after(20000000);
	weft_task *longer;
	unsigned naps = 0;

	CHECK(weft_spawn(sleep_until_deadline, (void *)(intptr_t)far, &longer) == 0);
	while (weft_now() < far - 5000000) {
		CHECK(weft_sleep(1000000) == 0);
		naps++;
	}
	CHECK(naps > 0 || weft_now() >= far - 5000000);
	CHECK(weft_join(longer, NULL) == 0);
	return arg;
}

static void test_an_earlier_deadline_comes_first(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, sleep_behind_a_longer_one, NULL);
}

/* The two wake each other's next nap. They nap one at a time, so a lost deadline stops both. */
static void *nap(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(1000); i++)
		CHECK(weft_sleep(1 + (int64_t)(i % 7) * 5000) == 0);
	return arg;
}

static void *spawn_nappers(void *arg)
{
	for (unsigned i = 0; i < 6; i++)
		CHECK(weft_spawn(nap, NULL, NULL) == 0);
	return arg;
}

static void test_no_deadline_is_lost(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, spawn_nappers, NULL);
	setenv("WEFT_CHAOS", "7", 1);
	assert_run(4, spawn_nappers, NULL);
	unsetenv("WEFT_CHAOS");
}

static void *cancel_sleepers_for_ever(void *arg)
{
	weft_task *tasks[100];

	for (unsigned i = 0; i < 100; i++)
		CHECK(weft_spawn(sleep_for_ever, NULL, &tasks[i]) == 0);
	for (unsigned i = 0; i < 100; i++)
		CHECK(await_waiting(tasks[i]));
	for (unsigned i = 0; i < 100; i++)
		CHECK(weft_cancel(tasks[i]) == 0);
	for (unsigned i = 0; i < 100; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	return arg;
}

static void test_for_ever_ends_by_cancellation(void **state)
{
	(void)state;
	assert_run(1, cancel_sleepers_for_ever, NULL);
	assert_run(4, cancel_sleepers_for_ever, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_after),
		cmocka_unit_test(test_now_is_the_monotonic_clock),
		cmocka_unit_test(test_in_a_task),
		cmocka_unit_test(test_on_a_plain_thread),
		cmocka_unit_test(test_many_sleepers),
		cmocka_unit_test(test_an_earlier_deadline_comes_first),
		cmocka_unit_test(test_no_deadline_is_lost),
		cmocka_unit_test(test_for_ever_ends_by_cancellation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
