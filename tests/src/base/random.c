/* SPDX-License-Identifier: MIT */
/*
 * The clock and the random numbers.
 */
#include "src/base/random.h"

#include "src/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static void test_random_is_splitmix64(void **state)
{
	(void)state;
	struct weft__random r;

	/* The published sequence for seed 1234567. */
	weft__random_seed(&r, 1234567);
	assert_true(weft__random_next(&r) == UINT64_C(6457827717110365317));
	assert_true(weft__random_next(&r) == UINT64_C(3203168211198807973));
	assert_true(weft__random_next(&r) == UINT64_C(9817491932198370423));
}

static void test_random_below_reaches_every_number_and_no_other(void **state)
{
	(void)state;
	struct weft__random r;

	weft__random_seed(&r, 0);
	assert_int_equal(weft__random_below(&r, 0), 0);
	for (uint32_t n = 1; n <= 64; n++) {
		uint64_t reached = 0;

		for (unsigned i = 0; i < 2000; i++) {
			uint32_t number = weft__random_below(&r, n);

			assert_true(number < n);
			reached |= UINT64_C(1) << number;
		}
		assert_true(reached == UINT64_MAX >> (64 - n));
	}
	for (unsigned i = 0; i < 1000; i++)
		assert_true(weft__random_below(&r, UINT32_MAX) < UINT32_MAX);
}

static void test_clock_is_the_monotonic_one(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		struct timespec a, b;

		clock_gettime(CLOCK_MONOTONIC, &a);
		int64_t now = weft__clock_now();

		clock_gettime(CLOCK_MONOTONIC, &b);
		assert_true(now >= a.tv_sec * INT64_C(1000000000) + a.tv_nsec);
		assert_true(now <= b.tv_sec * INT64_C(1000000000) + b.tv_nsec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_is_splitmix64),
		cmocka_unit_test(test_random_below_reaches_every_number_and_no_other),
		cmocka_unit_test(test_clock_is_the_monotonic_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
