/* SPDX-License-Identifier: MIT */
/*
 * How many steps the operations on the tree of deadlines take, under its lock. This file includes
 * the source, so that the test can count them.
 */
static unsigned steps;
#define TIMER_STEP() ((void)steps++)
#include "../../../sched/core/timer.c" /* relative, because tests/ has a folder of that name */

#include "harness.h"

static struct timers tree;

static struct timer *pop(void)
{
	weft__lock(&tree.lock);
	struct timer *t = weft__timers_pop_locked(&tree, WEFT_FOREVER - 1);
	weft__unlock(&tree.lock);
	return t;
}

enum order { ASCENDING, DESCENDING, SHUFFLED, EQUAL, ORDERS };

static int64_t deadline_of(enum order order, uint32_t i, uint32_t count)
{
	switch (order) {
	case ASCENDING:
		return 1 + (int64_t)i;
	case DESCENDING:
		return (int64_t)count - i;
	case SHUFFLED: /* count is not a multiple of it */
		return 1 + (int64_t)((uint64_t)i * 7919 % count);
	default:
		return 1;
	}
}

/* 2 log2(n + 1), rounded up: the largest possible depth. */
static unsigned depth_max(uint32_t n)
{
	unsigned log = 0;

	while ((UINT64_C(1) << log) < (uint64_t)n + 1)
		log++;
	return 2 * log;
}

/* The steps since the last call. */
static unsigned count_steps(void)
{
	unsigned count = steps;

	steps = 0;
	return count;
}

/*
 * Each single call is bounded, not only their sum. The hard case arms many nodes in the order of
 * time, pops the earliest, and then removes any others. A tree without this bound took as many
 * steps as it had nodes.
 */
static void test_each_operation_is_bounded(void **state)
{
	(void)state;
	for (uint32_t count = 10; count <= 100000; count *= 10) {
		struct timer *many = calloc(count, sizeof *many);
		unsigned depth = depth_max(count);

		assert_non_null(many);
		for (enum order order = ASCENDING; order < ORDERS; order++) {
			unsigned most_armed = 0, most_popped = 0, most_disarmed = 0, n;
			weft__timers_init(&tree);
			count_steps();
			for (uint32_t i = 0; i < count; i++) {
				weft__timer_arm(&tree, &many[i], deadline_of(order, i, count));
				n = count_steps();
				most_armed = n > most_armed ? n : most_armed;
			}
			for (uint32_t i = 0; i < count; i++) {
				if (i % 2) {
					if (many[i].queued)
						weft__timer_disarm(&many[i]);
					n = count_steps();
					most_disarmed = n > most_disarmed ? n : most_disarmed;
				} else if (pop()) {
					n = count_steps();
					most_popped = n > most_popped ? n : most_popped;
				}
			}
			while (pop()) {
				n = count_steps();
				most_popped = n > most_popped ? n : most_popped;
			}
			assert_null(tree.root);
			assert_true(most_armed <= depth + depth / 2);
			assert_true(most_popped <= 2 * depth);
			assert_true(most_disarmed <= 2 * depth);
		}
		free(many);
	}
}

/* A timeout that is always the same goes behind all others without a descent. */
static void test_the_latest_deadline_is_appended(void **state)
{
	const unsigned count = 10000;
	struct timer *many = calloc(count, sizeof *many);

	(void)state;
	assert_non_null(many);
	weft__timers_init(&tree);
	count_steps();
	for (unsigned i = 0; i < count; i++)
		weft__timer_arm(&tree, &many[i], 1 + i);
	assert_true(count_steps() <= 2 * count);
	while (pop())
		;
	assert_true(count_steps() <= 4 * count);
	free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_operation_is_bounded),
		cmocka_unit_test(test_the_latest_deadline_is_appended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
