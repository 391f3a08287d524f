/* SPDX-License-Identifier: MIT */
/*
 * The asymmetric fences: the store-buffer litmus test in both modes, and that the mode is chosen
 * once.
 */
#include "src/base/fence.h"

#include "../../scale.h"
#include "../child.h"
#include "src/base/compiler.h"
#include "src/base/random.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/*
 *	hot                       cold
 *	x := 1                    y := 1
 *	weft__fence_light()       weft__fence_heavy()
 *	reads y                   reads x
 *
 * Not both may read 0.
 */
struct litmus {
	alignas(WEFT__CACHE_LINE) _Atomic unsigned x;
	alignas(WEFT__CACHE_LINE) _Atomic unsigned y;
	alignas(WEFT__CACHE_LINE) _Atomic unsigned turn; /* the cold side has begun this round */
	alignas(WEFT__CACHE_LINE) _Atomic unsigned over; /* the hot side has ended this round */
	unsigned hot_saw;
	unsigned rounds;
};

static void wait_for(_Atomic unsigned *word, unsigned value)
{
	/* Gives way now and then, for machines with one CPU. acquire: pairs with the release of the
	 * same word. */
	for (unsigned i = 1; atomic_load_explicit(word, memory_order_acquire) != value; i++) {
		if (i % 4096 == 0)
			sched_yield();
	}
}

static void *hot_side(void *arg)
{
	struct litmus *l = arg;

	for (unsigned round = 1; round <= l->rounds; round++) {
		wait_for(&l->turn, round);
		/* relaxed, both: what is tested is the fence. */
		atomic_store_explicit(&l->x, round, memory_order_relaxed);
		weft__fence_light();
		l->hot_saw = atomic_load_explicit(&l->y, memory_order_relaxed);
		atomic_store_explicit(&l->over, round, memory_order_release);
	}
	return NULL;
}

/* Returns in how many rounds neither side saw the other. Each round stores its number, so nothing
 * has to be reset. */
static unsigned run_litmus(unsigned rounds)
{
	struct litmus l = {.rounds = rounds};
	struct weft__random random;
	unsigned blind = 0;
	pthread_t hot;

	weft__random_seed(&random, 1);
	if (pthread_create(&hot, NULL, hot_side, &l) != 0)
		return 0xffffffff;
	for (unsigned round = 1; round <= rounds; round++) {
		atomic_store_explicit(&l.turn, round, memory_order_release);
		/* The hot side takes a while to notice: meet it. */
		for (unsigned i = weft__random_below(&random, 300); i > 0; i--)
			__asm__ volatile("" ::: "memory");

		atomic_store_explicit(&l.y, round, memory_order_relaxed);
		weft__fence_heavy();
		unsigned saw = atomic_load_explicit(&l.x, memory_order_relaxed);

		wait_for(&l.over, round);
		blind += saw != round && l.hot_saw != round;
	}
	pthread_join(hot, NULL);
	return blind;
}

/* For the tests only, while no other thread uses the fences. */
static int restart_mode(int mode)
{
	atomic_store_explicit(&weft__fence_mode, mode, memory_order_relaxed);
	weft__fence_init();
	return atomic_load_explicit(&weft__fence_mode, memory_order_relaxed);
}

static void test_fence_one_side_sees_the_other_in_asymmetric_mode(void **state)
{
	(void)state;
	if (restart_mode(WEFT__FENCE_UNKNOWN) != WEFT__FENCE_ASYMMETRIC)
		skip();
	assert_int_equal(run_litmus(weft_test_scale(200000)), 0);
}

static void test_fence_one_side_sees_the_other_in_symmetric_mode(void **state)
{
	(void)state;
	assert_int_equal(restart_mode(WEFT__FENCE_SYMMETRIC), WEFT__FENCE_SYMMETRIC);
	assert_int_equal(run_litmus(weft_test_scale(500000)), 0);
}

/* The child inherits the registration: the mode that it inherits with the memory is right in it. */
static void test_fence_mode_is_right_after_fork(void **state)
{
	(void)state;
	int status = -1;

	restart_mode(WEFT__FENCE_UNKNOWN);
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0) {
		child_limit();
		weft__fence_heavy();
		_exit(7);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

/* A membarrier for which the kernel has no memory, and of which the slow kind is refused or not. */
static unsigned lacking, slow_calls, expedited_calls;
static bool slow_works;

static long lack_memory(int command)
{
	if (command == MEMBARRIER_CMD_GLOBAL) {
		slow_calls++;
		return slow_works ? 0 : -EINVAL;
	}
	assert_int_equal(command, MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	expedited_calls++;
	if (lacking == 0)
		return 0;
	lacking--;
	return -ENOMEM;
}

static void test_fence_goes_on_where_the_kernel_lacks_memory(void **state)
{
	(void)state;
	lacking = 3;
	weft__fence_insist(-ENOMEM, lack_memory);
	assert_int_equal(expedited_calls, 4);
	assert_int_equal(slow_calls, 4);

	slow_calls = expedited_calls = 0;
	slow_works = true;
	weft__fence_insist(-ENOMEM, lack_memory);
	assert_int_equal(expedited_calls, 0);
	assert_int_equal(slow_calls, 1);
}

static long forbid(int command)
{
	(void)command;
	return -EPERM;
}

static void be_forbidden(void *arg)
{
	(void)arg;
	weft__fence_insist(-ENOMEM, forbid);
}

static void test_fence_that_is_forbidden_later_ends_the_process(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, be_forbidden, NULL);
	assert_true(child_died_of(&child, SIGABRT));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, "Operation not permitted"));
}

#define STARTERS 4

static void *starter(void *arg)
{
	int *saw = arg;

	weft__fence_init();
	*saw = atomic_load_explicit(&weft__fence_mode, memory_order_relaxed);
	return NULL;
}

static void test_fence_init_decides_once(void **state)
{
	(void)state;
	int saw[STARTERS];
	pthread_t threads[STARTERS];

	for (unsigned round = 0; round < weft_test_scale(200); round++) {
		atomic_store_explicit(&weft__fence_mode, WEFT__FENCE_UNKNOWN, memory_order_relaxed);
		for (unsigned i = 0; i < STARTERS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, starter, &saw[i]), 0);
		for (unsigned i = 0; i < STARTERS; i++)
			pthread_join(threads[i], NULL);
		for (unsigned i = 0; i < STARTERS; i++) {
			assert_int_not_equal(saw[i], WEFT__FENCE_UNKNOWN);
			assert_int_equal(saw[i], saw[0]);
		}
	}

	/* A mode that is set stays. */
	assert_int_equal(restart_mode(WEFT__FENCE_SYMMETRIC), WEFT__FENCE_SYMMETRIC);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fence_one_side_sees_the_other_in_asymmetric_mode),
		cmocka_unit_test(test_fence_one_side_sees_the_other_in_symmetric_mode),
		cmocka_unit_test(test_fence_mode_is_right_after_fork),
		cmocka_unit_test(test_fence_init_decides_once),
		cmocka_unit_test(test_fence_goes_on_where_the_kernel_lacks_memory),
		cmocka_unit_test(test_fence_that_is_forbidden_later_ends_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
