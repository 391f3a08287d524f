/* SPDX-License-Identifier: MIT */
/*
 * The depot. Chains go in and out. Unneeded chains are given back when the time has come, not
 * before, and at once if the system refuses memory. The tests tell the depot the time.
 */
#include "child.h"
#include "depot_peek.h"
#include "src/base/process_locks.h"
#include "src/coro.h"
#include "src/stack/stack_trim.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* The tender. */
static const void *const me = &me;

static void never_entered(void *value)
{
	(void)value;
	abort();
}

static struct coro *new_chain(void)
{
	struct coro *chain = NULL;

	for (int i = 0; i < DEPOT_CHAIN; i++) {
		struct coro *co = weft__coro_new(20000, true, never_entered);

		assert_non_null(co);
		co->next = chain;
		chain = co;
	}
	return chain;
}

static void fill(struct depot *d, unsigned chains)
{
	for (unsigned i = 0; i < chains; i++) {
		if (weft__depot_put(d, new_chain()))
			weft__depot_tend(d, 1000, me);
	}
}

static void test_chains_are_taken_last_in_first_out(void **state)
{
	struct depot d;
	struct coro *a, *b;

	(void)state;
	weft__depot_init(&d);
	assert_null(weft__depot_take(&d));
	a = new_chain();
	b = new_chain();
	assert_true(weft__depot_put(&d, a)); /* a window begins; sleepers must hear of it */
	assert_false(weft__depot_put(&d, b));
	assert_ptr_equal(weft__depot_take(&d), b);
	assert_ptr_equal(weft__depot_take(&d), a);
	assert_null(weft__depot_take(&d));
	assert_false(weft__depot_put(&d, a));
	assert_false(weft__depot_put(&d, b));
	weft__depot_fini(&d);
}

static void test_what_nobody_needs_is_given_back_in_time(void **state)
{
	size_t before = used_stacks();
	struct depot d;

	(void)state;
	weft__depot_init(&d);
	assert_true(due(&d) == WEFT_FOREVER);
	fill(&d, 8);
	int64_t first = due(&d);
	assert_true(first == 1000 + DEPOT_WINDOW_NS);
	weft__depot_tend(&d, first - 1, me);
	assert_int_equal(used_stacks(), before + 8 * DEPOT_CHAIN);
	/* The depot filled during the first window. */
	weft__depot_tend(&d, first, me);
	assert_int_equal(used_stacks(), before + 8 * DEPOT_CHAIN);
	assert_true(due(&d) == first + DEPOT_WINDOW_NS);
	/* Nobody came in the second window: one chain goes at each visit. */
	for (unsigned left = 8; left-- > 0;) {
		bool more = weft__depot_tend(&d, first + DEPOT_WINDOW_NS, me);

		/* After the last chain goes the memory that is left. */
		assert_true(more || left == 0);
		assert_int_equal(used_stacks(), before + left * DEPOT_CHAIN);
	}
	while (weft__depot_tend(&d, first + DEPOT_WINDOW_NS, me))
		;
	assert_true(due(&d) == WEFT_FOREVER);
	weft__depot_fini(&d);
}

static void test_what_is_needed_is_kept(void **state)
{
	size_t before = used_stacks();
	struct coro *taken[6];
	struct depot d;

	(void)state;
	weft__depot_init(&d);
	fill(&d, 8);
	weft__depot_tend(&d, due(&d), me);
	/* In each window six of the eight are in use for a while. */
	for (unsigned window = 0; window < 3; window++) {
		int64_t end = due(&d);

		for (unsigned i = 0; i < 6; i++)
			taken[i] = weft__depot_take(&d);
		for (unsigned i = 0; i < 6; i++)
			weft__depot_put(&d, taken[i]);
		for (unsigned visits = 0; visits < 10; visits++)
			weft__depot_tend(&d, end, me);
		assert_true(due(&d) == end + DEPOT_WINDOW_NS);
		assert_int_equal(used_stacks(), before + 6 * DEPOT_CHAIN);
	}
	weft__depot_fini(&d);
	assert_int_equal(used_stacks(), before);
}

/* While one thread gives back, the others do not, until it has stayed away for a window. */
static void test_one_tends_at_a_time(void **state)
{
	static const void *const other = &other;
	size_t before = used_stacks();
	struct depot d;

	(void)state;
	weft__depot_init(&d);
	fill(&d, 8);
	weft__depot_tend(&d, due(&d), me);
	int64_t now = due(&d);
	assert_true(weft__depot_tend(&d, now, me));
	assert_true(due(&d) == now + DEPOT_WINDOW_NS);
	assert_false(weft__depot_tend(&d, now + DEPOT_WINDOW_NS - 1, other));
	assert_int_equal(used_stacks(), before + 7 * DEPOT_CHAIN);
	assert_true(weft__depot_tend(&d, now + DEPOT_WINDOW_NS - 1, me));
	now = due(&d);
	assert_true(weft__depot_tend(&d, now, other));
	assert_false(weft__depot_tend(&d, now, me));
	assert_int_equal(used_stacks(), before + 5 * DEPOT_CHAIN);
	while (weft__depot_tend(&d, now, other))
		;
	assert_true(due(&d) == WEFT_FOREVER);
	assert_int_equal(used_stacks(), before);
	weft__depot_fini(&d);
}

static void test_nothing_is_surplus_when_a_burst_begins(void **state)
{
	size_t before = used_stacks();
	struct coro *taken;
	struct depot d;

	(void)state;
	weft__depot_init(&d);
	fill(&d, 8);
	weft__depot_tend(&d, due(&d), me);
	int64_t now = due(&d);
	assert_true(weft__depot_tend(&d, now, me));
	taken = weft__depot_take(&d);
	while (weft__depot_tend(&d, now, me)) /* the memory of the freed stacks */
		;
	assert_int_equal(used_stacks(), before + 7 * DEPOT_CHAIN);
	assert_true(due(&d) == now + DEPOT_WINDOW_NS);
	/* A chain that is put back does not count as demand. */
	assert_false(weft__depot_put(&d, taken));
	weft__depot_tend(&d, due(&d), me);
	now = due(&d);
	assert_true(weft__depot_tend(&d, now, me));
	taken = weft__depot_take(&d);
	weft__depot_put(&d, taken);
	assert_true(weft__depot_tend(&d, now, me));
	assert_int_equal(used_stacks(), before + 5 * DEPOT_CHAIN);
	weft__depot_fini(&d);
	assert_int_equal(used_stacks(), before);
}

static void test_surplus_may_still_be_taken(void **state)
{
	struct coro *taken[4];
	struct depot d;

	(void)state;
	weft__depot_init(&d);
	fill(&d, 4);
	weft__depot_tend(&d, due(&d), me);
	weft__depot_tend(&d, due(&d), me); /* frees the first */
	for (unsigned i = 0; i < 3; i++) {
		taken[i] = weft__depot_take(&d);
		assert_non_null(taken[i]);
	}
	assert_null(weft__depot_take(&d));
	int64_t now = due(&d);
	while (weft__depot_tend(&d, now, me))
		;
	assert_true(due(&d) == WEFT_FOREVER);
	for (unsigned i = 0; i < 3; i++)
		weft__depot_put(&d, taken[i]);
	weft__depot_fini(&d);
}

static void test_every_depot_is_emptied_where_memory_is_refused(void **state)
{
	size_t before = used_stacks();
	struct depot a, b;

	(void)state;
	weft__depot_init(&a);
	weft__depot_init(&b);
	fill(&a, 2);
	fill(&b, 3);
	weft__stack_trim();
	assert_int_equal(used_stacks(), before);
	assert_null(weft__depot_take(&a));
	weft__depot_tend(&a, due(&a), me);
	assert_true(due(&a) == WEFT_FOREVER);
	weft__depot_fini(&a);
	weft__depot_fini(&b);
}

static size_t dirty_stacks(void)
{
	struct stack_counts counts;

	weft__stack_counts(&counts);
	return counts.dirty;
}

/* Stacks that never were in the depot. It gives their memory back one window after their note. */
static void test_what_was_freed_beside_it_is_given_back_in_time(void **state)
{
	static struct coro *burst[300];
	struct depot d;

	(void)state;
	weft__depot_init(&d);
	for (unsigned i = 0; i < 300; i++) {
		burst[i] = weft__coro_new(500000, true, never_entered);
		assert_non_null(burst[i]);
	}
	for (unsigned i = 1; i < 300; i++) {
		weft__coro_free_lazily(burst[i]);
		bool begins = weft__depot_note(&d);
		assert_true(begins == (i == 1));
		if (begins)
			assert_false(weft__depot_tend(&d, 1000, me));
	}
	size_t dirty = dirty_stacks();
	assert_true(dirty >= 299);
	/* Notes that came after the beginning of the window are handled in the next one. */
	int64_t end = due(&d);
	assert_true(end == 1000 + DEPOT_WINDOW_NS);
	assert_false(weft__depot_tend(&d, end - 1, me));
	assert_int_equal(dirty_stacks(), dirty);
	for (unsigned windows = 0; windows < 3 && due(&d) != WEFT_FOREVER; windows++) {
		int64_t now = due(&d);
		while (weft__depot_tend(&d, now, me))
			;
	}
	assert_true(due(&d) == WEFT_FOREVER);
	/* 2 stacks of half a megabyte are hot, and up to 64 of the other tests' smaller ones. */
	assert_true(dirty_stacks() <= 2 + 64);
	weft__depot_fini(&d);
	/* The last depot is gone. */
	assert_int_equal(dirty_stacks(), 0);
	weft__coro_free(burst[0]);
}

static struct depot forked;
static pthread_barrier_t held;
static _Atomic bool has_forked;

/*
 *   this thread                        the thread that forks
 *   locks the depot
 *   barrier                            barrier
 *                                      fork() locks the list, and waits for the depot
 *   sees that the list is locked
 *   unlocks the depot                  fork() goes on
 *
 * If fork() does not wait for the depot, the child's copy of it stays locked for ever.
 */
static void *hold_until_fork_begins(void *unused)
{
	weft__lock(&forked.lock);
	pthread_barrier_wait(&held);
	while (!has_forked && weft__trylock(&weft__process_locks[WEFT__LOCK_DEPOTS].lock)) {
		weft__unlock_process(WEFT__LOCK_DEPOTS);
		sched_yield();
	}
	weft__unlock(&forked.lock);
	return unused;
}

static void test_a_child_finds_the_depot_unlocked(void **state)
{
	pthread_t holder;
	int status;

	(void)state;
#if CHILD_TSAN
	skip(); /* it does not let a child of several threads go on */
#endif
	weft__depot_init(&forked);
	fill(&forked, 1);
	pthread_barrier_init(&held, NULL, 2);
	assert_int_equal(pthread_create(&holder, NULL, hold_until_fork_begins, NULL), 0);
	pthread_barrier_wait(&held);
	pid_t child = fork();
	if (child == 0) {
		child_limit();
		weft__depot_empty(&forked);
		_exit(7);
	}
	has_forked = true;
	assert_int_equal(pthread_join(holder, NULL), 0);
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	pthread_barrier_destroy(&held);
	weft__depot_fini(&forked);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chains_are_taken_last_in_first_out),
		cmocka_unit_test(test_what_nobody_needs_is_given_back_in_time),
		cmocka_unit_test(test_what_is_needed_is_kept),
		cmocka_unit_test(test_one_tends_at_a_time),
		cmocka_unit_test(test_nothing_is_surplus_when_a_burst_begins),
		cmocka_unit_test(test_surplus_may_still_be_taken),
		cmocka_unit_test(test_what_was_freed_beside_it_is_given_back_in_time),
		cmocka_unit_test(test_every_depot_is_emptied_where_memory_is_refused),
		cmocka_unit_test(test_a_child_finds_the_depot_unlocked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
