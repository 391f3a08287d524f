/* SPDX-License-Identifier: MIT */
/*
 * Futex waits: what they return, that deadlines are kept, that neither signals nor errno get in the
 * way.
 */
#include "src/base/futex.h"

#include "../../scale.h"
#include "src/base/clock.h"

#include <weft/base.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

static void test_futex_returns_at_once_if_the_word_differs(void **state)
{
	(void)state;
	_Atomic uint32_t word = 5;

	errno = 1234;
	assert_int_equal(weft__futex_wait(&word, 4, WEFT_FOREVER), -EAGAIN);
	assert_int_equal(weft__futex_wait(&word, 4, 0), -EAGAIN);
	assert_int_equal(errno, 1234);
}

static void test_futex_past_deadline_does_not_wait(void **state)
{
	(void)state;
	_Atomic uint32_t word = 5;

	errno = 1234;
	assert_int_equal(weft__futex_wait(&word, 5, 0), -ETIMEDOUT);
	assert_int_equal(weft__futex_wait(&word, 5, -1), -ETIMEDOUT);
	assert_int_equal(weft__futex_wait(&word, 5, INT64_MIN), -ETIMEDOUT);
	assert_int_equal(weft__futex_wait(&word, 5, weft__clock_now() - 1), -ETIMEDOUT);
	assert_int_equal(errno, 1234);
}

static void test_futex_times_out_not_before_the_deadline(void **state)
{
	(void)state;
	_Atomic uint32_t word = 5;

	for (int i = 0; i < 5; i++) {
		int64_t deadline = weft__clock_now() + 3000000;

		assert_int_equal(weft__futex_wait(&word, 5, deadline), -ETIMEDOUT);
		assert_true(weft__clock_now() >= deadline);
	}
}

static void test_futex_wake_of_gone_memory_is_harmless(void **state)
{
	(void)state;
	/* valgrind, which runs with a scale, reports the address: it cannot know that nobody reads
	 * there. */
	if (getenv("WEFT_TEST_SCALE"))
		skip();

	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(page != MAP_FAILED);
	assert_int_equal(munmap(page, 4096), 0);
	errno = 1234;
	weft__futex_wake(page, 1);
	assert_int_equal(errno, 1234);
}

/* Two threads pass the word on: even numbers are for one of them, odd ones for the other. */
struct table {
	_Atomic uint32_t word;
	unsigned rounds;
};

static void play(struct table *t, uint32_t parity)
{
	for (unsigned i = 0; i < t->rounds; i++) {
		uint32_t now;

		/* No wake is lost: the other side changes the word, then wakes; the kernel compares
		 * the word after it has queued us. acquire: pairs with the release below. */
		while (((now = atomic_load_explicit(&t->word, memory_order_acquire)) & 1) != parity)
			weft__futex_wait(&t->word, now, WEFT_FOREVER);
		atomic_store_explicit(&t->word, now + 1, memory_order_release);
		weft__futex_wake(&t->word, 1);
	}
}

static void *player(void *arg)
{
	play(arg, 1);
	return NULL;
}

static void test_futex_wakes_are_not_lost(void **state)
{
	(void)state;
	struct table t = {.rounds = weft_test_scale(20000)};
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, player, &t), 0);
	play(&t, 0);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load_explicit(&t.word, memory_order_relaxed), 2 * t.rounds);
}

static _Atomic unsigned signals;

static void on_signal(int number)
{
	(void)number;
	atomic_fetch_add_explicit(&signals, 1, memory_order_release);
}

struct sleeper {
	_Atomic uint32_t word;
	_Atomic bool returned;
	int status;
};

static void *sleeper(void *arg)
{
	struct sleeper *s = arg;

	s->status = weft__futex_wait(&s->word, 0, WEFT_FOREVER);
	atomic_store_explicit(&s->returned, true, memory_order_release);
	return NULL;
}

static void test_futex_signals_do_not_end_a_wait(void **state)
{
	(void)state;
	struct sigaction action, old;
	struct sleeper s = {0};
	pthread_t thread;

#if defined(WEFT_TEST_SCALE_TSAN) || defined(__SANITIZE_THREAD__)
	/* It keeps signals back until the thread calls something that it intercepts. */
	skip();
#endif
	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal; /* and no SA_RESTART */
	assert_int_equal(sigaction(SIGUSR1, &action, &old), 0);
	assert_int_equal(pthread_create(&thread, NULL, sleeper, &s), 0);

	/* Each one but the last has been followed by another handler on that thread: a wait that
	 * ended has returned. */
	for (unsigned i = 1; i <= 50; i++) {
		pthread_kill(thread, SIGUSR1);
		while (atomic_load_explicit(&signals, memory_order_acquire) < i)
			sched_yield();
		if (atomic_load_explicit(&s.returned, memory_order_acquire))
			break;
	}
	bool early = atomic_load_explicit(&s.returned, memory_order_acquire);

	atomic_store_explicit(&s.word, 1, memory_order_release);
	weft__futex_wake(&s.word, 1);
	pthread_join(thread, NULL);
	sigaction(SIGUSR1, &old, NULL);
	assert_false(early);
	/* Woken, or it was between two waits when the word changed. */
	assert_true(s.status == 0 || s.status == -EAGAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_futex_returns_at_once_if_the_word_differs),
		cmocka_unit_test(test_futex_past_deadline_does_not_wait),
		cmocka_unit_test(test_futex_times_out_not_before_the_deadline),
		cmocka_unit_test(test_futex_wake_of_gone_memory_is_harmless),
		cmocka_unit_test(test_futex_wakes_are_not_lost),
		cmocka_unit_test(test_futex_signals_do_not_end_a_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
