/* SPDX-License-Identifier: MIT */
#include "src/base/sized.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct known {
	uint32_t first;
	uint32_t second;
};

struct later {
	struct known known;
	unsigned char more[5];
};

static void test_a_smaller_struct_is_filled_with_0(void **state)
{
	struct known to = {7, 7}, from = {1, 2};

	(void)state;
	assert_int_equal(take_sized(&to, sizeof to, &from, sizeof from.first), 0);
	assert_int_equal(to.first, 1);
	assert_int_equal(to.second, 0);
	assert_int_equal(take_sized(&to, sizeof to, &from, 0), 0);
	assert_int_equal(to.first, 0);
}

static void test_a_larger_struct_is_taken_if_the_rest_is_0(void **state)
{
	struct later from = {.known = {1, 2}};
	struct known to = {7, 7};

	(void)state;
	for (size_t i = 0; i < sizeof from.more; i++) {
		from.more[i] = 1;
		assert_int_equal(take_sized(&to, sizeof to, &from, sizeof from), -E2BIG);
		assert_int_equal(to.first, 7);
		from.more[i] = 0;
	}
	assert_int_equal(take_sized(&to, sizeof to, &from, sizeof from), 0);
	assert_int_equal(to.first, 1);
	assert_int_equal(to.second, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_smaller_struct_is_filled_with_0),
		cmocka_unit_test(test_a_larger_struct_is_taken_if_the_rest_is_0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
