/* SPDX-License-Identifier: MIT */
/* Virtual time: what moves it, that it is the same each time, and that it is one thread's only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "src/base/clock.h"

#include <pthread.h>
#include <time.h>

static int64_t real_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static bool is_real(void)
{
	int64_t before = real_now();
	int64_t now = weft__clock_now();

	return before <= now && now <= real_now();
}

static void test_time_is_real(void **state)
{
	(void)state;
	assert_true(is_real());
}

static void test_virtual_time_repeats(void **state)
{
	int64_t times[2][4];

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		assert_true(weft__clock_reserve());
		assert_true(is_real());
		weft__clock_begin_virtual();
		times[i][0] = weft__clock_now();
		times[i][1] = weft__clock_now();
		weft__clock_pass(1000);
		times[i][2] = weft__clock_now();
		weft__clock_reach(times[i][2] + 5000);
		weft__clock_reach(times[i][2]); /* has been reached long ago */
		times[i][3] = weft__clock_now();
		weft__clock_end_virtual();
		assert_true(is_real());
		weft__clock_release();
	}
	int64_t step = times[0][1] - times[0][0];
	assert_true(times[0][0] > 0 &&
		    step > 0); /* a look takes time: loops until a deadline end */
	assert_true(times[0][2] - times[0][1] == 1000 + step);
	assert_true(times[0][3] - times[0][2] == 5000 + step);
	assert_memory_equal(times[0], times[1], sizeof times[0]);
}

static void *look(void *ret_real)
{
	*(bool *)ret_real = is_real();
	return NULL;
}

static void test_other_threads_have_real_time(void **state)
{
	pthread_t thread;
	bool real = false;

	(void)state;
	assert_true(weft__clock_reserve());
	weft__clock_begin_virtual();
	assert_int_equal(pthread_create(&thread, NULL, look, &real), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(real);
	assert_false(is_real());
	weft__clock_end_virtual();
	weft__clock_release();
}

static void test_one_thread_at_a_time(void **state)
{
	(void)state;
	assert_true(weft__clock_reserve());
	assert_false(weft__clock_reserve());
	weft__clock_begin_virtual();
	assert_false(weft__clock_reserve());
	weft__clock_end_virtual();
	assert_false(weft__clock_reserve());
	weft__clock_release();
	assert_true(weft__clock_reserve());
	weft__clock_release();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_time_is_real),
		cmocka_unit_test(test_virtual_time_repeats),
		cmocka_unit_test(test_other_threads_have_real_time),
		cmocka_unit_test(test_one_thread_at_a_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
