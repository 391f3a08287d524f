/* SPDX-License-Identifier: MIT */
/* The futex lock: exclusion, and no forgotten sleeper. */
#include "src/base/lock.h"

#include "../child.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define THREADS 4
#define ROUNDS  50000

static struct weft__lock lock = WEFT__LOCK_INIT(QUEUE);
static long counter, twin;
static _Atomic int torn;

static void *count(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		if (i % 4 == 0) {
			while (!weft__trylock(&lock))
				sched_yield();
		} else {
			weft__lock(&lock);
		}
		if (counter != twin)
			atomic_store_explicit(&torn, 1, memory_order_relaxed);
		counter++;
		/* Now and then the holder leaves the CPU, so others meet a lock that stays held. */
		if (i % 1024 == 0)
			sched_yield();
		twin++;
		weft__unlock(&lock);
	}
	return NULL;
}

static void test_lock_excludes(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
#ifdef WEFT_TSAN_USER
	print_message("skipped: the lock makes no edge in this build\n");
	skip();
#endif
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load_explicit(&torn, memory_order_relaxed), 0);
	assert_int_equal(counter, (long)THREADS * ROUNDS);
	assert_int_equal(twin, counter);
}

static void test_trylock_says_whether_it_was_free(void **state)
{
	(void)state;
	assert_true(weft__trylock(&lock));
	assert_false(weft__trylock(&lock));
	weft__unlock(&lock);
	assert_true(weft__trylock(&lock));
	weft__unlock(&lock);
}

static void *take_once(void *arg)
{
	(void)arg;
	weft__lock(&lock);
	counter++;
	weft__unlock(&lock);
	return NULL;
}

/*
 *  main                         the others
 *  locks
 *                               spin, set SLEEPERS, sleep
 *  sees it, unlocks: wakes one
 *                               it takes the lock with SLEEPERS, counts, unlocks: wakes the next ...
 */
static void test_unlock_wakes_every_sleeper_in_the_end(void **state)
{
	(void)state;
#ifdef WEFT_TSAN_USER
	print_message("skipped: the lock makes no edge in this build\n");
	skip();
#endif
	for (int round = 0; round < 50; round++) {
		pthread_t threads[THREADS];

		counter = 0;
		weft__lock(&lock);
		for (int i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, take_once, NULL), 0);
		while (!(atomic_load_explicit(&lock.word, memory_order_relaxed) &
			 WEFT__LOCK_SLEEPERS))
			sched_yield();
		weft__unlock(&lock);
		for (int i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(counter, THREADS);
		assert_int_equal(atomic_load_explicit(&lock.word, memory_order_relaxed), 0);
	}
}

static void lock_in_handler(int number)
{
	(void)number;
	weft__lock(&lock);
}

static void be_interrupted(void *arg)
{
	(void)arg;
	signal(SIGUSR1, lock_in_handler);
	weft__lock(&lock);
	raise(SIGUSR1);
	weft__unlock(&lock);
}

static void test_a_handler_that_waits_for_what_it_interrupted_aborts(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, be_interrupted, NULL);
	assert_true(child_died_of(&child, SIGABRT));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, "signal handler"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lock_excludes),
		cmocka_unit_test(test_trylock_says_whether_it_was_free),
		cmocka_unit_test(test_unlock_wakes_every_sleeper_in_the_end),
		cmocka_unit_test(test_a_handler_that_waits_for_what_it_interrupted_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
