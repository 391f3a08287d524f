/* SPDX-License-Identifier: MIT */
/* The tree of deadlines against a model: an array that is searched from end to end. */
#include "sched/core/timer.h"
#include "harness.h"
#include "src/base/clock.h"
#include "src/base/random.h"

#define TIMERS 300

static struct timer timers[TIMERS];
static bool armed[TIMERS];
static struct timers tree;
static uint64_t armings[TIMERS]; /* the number of the arming */
static uint64_t arming;

static int64_t earliest(void)
{
	int64_t least = WEFT_FOREVER;

	for (unsigned i = 0; i < TIMERS; i++) {
		if (armed[i] && timers[i].deadline < least)
			least = timers[i].deadline;
	}
	return least;
}

static void assert_earliest(void)
{
	assert_true(atomic_load_explicit(&tree.earliest, memory_order_relaxed) == earliest());
}

/* Checks the invariants of the subtree below t. Returns the number of black nodes on each path down
 * from it. Adds its nodes to *count, and stores the last one in *last. */
static unsigned check_subtree(const struct timer *t, const struct timer *parent, unsigned *count,
			      const struct timer **last)
{
	if (!t)
		return 0;
	assert_ptr_equal(t->parent, parent);
	assert_true(t->queued);
	assert_ptr_equal(t->timers, &tree);
	assert_false(t->red && parent && parent->red);
	unsigned earlier = check_subtree(t->child[TIMER_EARLIER], t, count, last);
	if (*last)
		assert_true((*last)->deadline <= t->deadline);
	else
		assert_ptr_equal(tree.ends[TIMER_EARLIER], t);
	++*count;
	*last = t;
	unsigned later = check_subtree(t->child[TIMER_LATER], t, count, last);
	assert_int_equal(earlier, later);
	return earlier + !t->red;
}

/* Checks the invariants in timer.c. */
static void check_tree(unsigned expected)
{
	const struct timer *last = NULL;
	unsigned count = 0;

	assert_false(tree.root && tree.root->red);
	check_subtree(tree.root, NULL, &count, &last);
	assert_int_equal(count, expected);
	assert_ptr_equal(tree.ends[TIMER_LATER], last);
	if (!last)
		assert_null(tree.ends[TIMER_EARLIER]);
}

static unsigned armed_count(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < TIMERS; i++)
		count += armed[i];
	return count;
}

static void arm(unsigned n, int64_t deadline)
{
	weft__timer_arm(&tree, &timers[n], deadline);
	armed[n] = true;
	armings[n] = arming++;
}

static struct timer *pop(int64_t now)
{
	weft__lock(&tree.lock);
	struct timer *t = weft__timers_pop_locked(&tree, now);
	weft__unlock(&tree.lock);
	return t;
}

static void pop_and_compare(int64_t now)
{
	int64_t expected = earliest();
	struct timer *t = pop(now);

	if (expected > now) {
		assert_null(t);
		return;
	}
	assert_non_null(t);
	assert_true(t->deadline == expected);
	assert_true(armed[t - timers]);
	assert_false(t->queued);
	for (unsigned i = 0; i < TIMERS; i++)
		assert_false(armed[i] && timers[i].deadline == expected &&
			     armings[i] < armings[t - timers]);
	armed[t - timers] = false;
	if ((t - timers) % 2)
		weft__timer_disarm(t); /* as its waiter will: it is out already */
}

/* range: of the deadlines; small deadlines collide. */
static void walk(uint64_t seed, uint32_t range, unsigned steps)
{
	struct weft__random random;

	weft__random_seed(&random, seed);
	weft__timers_init(&tree);
	memset(armed, 0, sizeof(armed));
	assert_earliest();
	for (unsigned i = 0; i < steps; i++) {
		unsigned n = weft__random_below(&random, TIMERS);
		uint32_t act = weft__random_below(&random, 10);

		if (act == 0) {
			pop_and_compare(weft__random_below(&random, range));
		} else if (!armed[n]) {
			arm(n, 1 + weft__random_below(&random, range));
			assert_ptr_equal(timers[n].timers, &tree);
		} else if (act < 6) {
			weft__timer_disarm(&timers[n]);
			armed[n] = false;
			assert_null(timers[n].timers);
		}
		assert_earliest();
		if (i % 16 == 0)
			check_tree(armed_count());
	}
	while (earliest() != WEFT_FOREVER) {
		pop_and_compare(WEFT_FOREVER - 1);
		assert_earliest();
		check_tree(armed_count());
	}
	assert_null(pop(WEFT_FOREVER - 1));
}

static void test_random_walks(void **state)
{
	const char *text = getenv("WEFT_TEST_SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)weft__clock_now();

	(void)state;
	printf("WEFT_TEST_SEED=%llu\n", (unsigned long long)seed);
	for (unsigned i = 0; i < 10; i++) {
		walk(seed + i, 10, weft_test_scale(20000));
		walk(seed + i, 1000, weft_test_scale(20000));
		walk(seed + i, UINT32_MAX, weft_test_scale(20000));
	}
}

static void test_sorted_and_reversed(void **state)
{
	(void)state;
	for (unsigned way = 0; way < 3; way++) {
		weft__timers_init(&tree);
		for (unsigned i = 0; i < TIMERS; i++) {
			arm(i, way == 0 ? 1 + i : way == 1 ? TIMERS - i : 5);
			assert_earliest();
			check_tree(i + 1);
		}
		for (unsigned i = 0; i < TIMERS; i++)
			pop_and_compare(TIMERS);
		assert_null(pop(WEFT_FOREVER - 1));
	}
}

static void test_only_what_is_due_is_popped(void **state)
{
	(void)state;
	weft__timers_init(&tree);
	assert_null(pop(WEFT_FOREVER - 1));
	weft__timer_arm(&tree, &timers[0], 100);
	assert_null(pop(99));
	assert_ptr_equal(pop(100), &timers[0]);
	weft__timer_disarm(&timers[0]);
	assert_null(timers[0].timers);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_walks),
		cmocka_unit_test(test_sorted_and_reversed),
		cmocka_unit_test(test_only_what_is_due_is_popped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
