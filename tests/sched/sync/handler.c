/* SPDX-License-Identifier: MIT */
/*
 * Waits that nobody can end. In one case a signal handler calls Weft while the interrupted code
 * holds the lock. In the other case a channel was destroyed. Both abort with a line.
 */
#include "tests/sched/core/harness.h"

#include "sched/sync/chan.h"

#include <malloc.h>

static weft_chan *channel;
static void (*in_task)(void *arg); /* the function that run_in_task() runs */

static void *call_in_task(void *arg)
{
	in_task(arg);
	return arg;
}

static void run_in_task(void *arg)
{
	child_got(weft_run(call_in_task, arg, NULL));
}

static void send_from_handler(int number)
{
	child_got(weft_chan_try_send(channel, &number));
}

/* Calls far below the interrupted code. On a stack whose bounds Weft does not know, it would not
 * take that code for its own. */
static void send_from_deep_handler(int number)
{
	volatile char between[48 << 10];

	between[0] = between[sizeof(between) - 1] = (char)number;
	send_from_handler(between[0] + between[sizeof(between) - 1]);
}

static void (*handler)(int number) = send_from_handler;

/* Stands for the locked part of a call of Weft, in which the signal comes. */
static void interrupted(void)
{
	int number;

	chan_lock(channel);
	raise(SIGUSR1);
	chan_unlock(channel);
	child_got(weft_chan_try_recv(channel, &number));
}

static void be_interrupted(void *arg)
{
	(void)arg;
	signal(SIGUSR1, handler);
	if (weft_chan_create(sizeof(int), 2, &channel) == 0)
		interrupted();
}

static void *be_interrupted_in_generator(void *arg)
{
	be_interrupted(arg);
	return arg;
}

static void enter_generator(void *arg)
{
	weft_coro *co;

	if (weft_coro_create(be_interrupted_in_generator, 0, &co) == 0)
		weft_coro_enter(co, arg, NULL);
}

static void test_a_handler_that_waits_for_what_it_interrupted_aborts(void **state)
{
	(void)state;
	assert_aborts(be_interrupted, "signal handler", "interrupted code");
	assert_aborts(enter_generator, "signal handler", "interrupted code");
#if !CHILD_TSAN /* ThreadSanitizer runs handlers on the worker's alternative signal stack */
	in_task = be_interrupted;
	assert_aborts(run_in_task, "signal handler", "interrupted code");
	in_task = enter_generator;
	assert_aborts(run_in_task, "signal handler", "interrupted code");
#endif
}

static void test_a_handler_is_found_out_anywhere_on_a_coroutine_s_stack(void **state)
{
	(void)state;
	handler = send_from_deep_handler;
	assert_aborts(enter_generator, "signal handler", "interrupted code");
#if !CHILD_TSAN /* as above */
	in_task = be_interrupted;
	assert_aborts(run_in_task, "signal handler", "interrupted code");
#endif
	handler = send_from_handler;
}

static void send_after_destroy(void *arg)
{
	int number = 1;

	(void)arg;
	mallopt(M_PERTURB,
		0); /* meson has free() overwrite all of a block, also what is looked at */
	if (weft_chan_create(sizeof(int), 2, &channel) == 0) {
		weft_chan_destroy(channel);
		child_got(weft_chan_send(channel, &number));
	}
}

static weft_sem sem = WEFT_SEM_INIT(0);

static void release_from_handler(int number)
{
	weft_sem_release(&sem, (unsigned)number);
}

/* Puts the semaphore into the state in which a call has locked it: bit 63, and the mark of the
 * caller's place. */
static void be_interrupted_in_sem(void *arg)
{
	_Atomic uint64_t *word = (_Atomic uint64_t *)&sem;
	uint64_t mark = weft__holder_mark() >> WEFT__HOLDER_SHIFT;

	(void)arg;
	signal(SIGUSR1, release_from_handler);
	atomic_store_explicit(word, (uint64_t)1 << 63 | mark << 32, memory_order_relaxed);
	raise(SIGUSR1);
}

static void test_a_handler_that_interrupted_a_semaphore_aborts(void **state)
{
	(void)state;
	assert_aborts(be_interrupted_in_sem, "signal handler", "interrupted code");
}

static void test_a_send_after_destroy_aborts(void **state)
{
	(void)state;
#if CHILD_ASAN || CHILD_TSAN
	skip(); /* they find the error themselves */
#endif
#ifdef RUNNING_ON_VALGRIND
	if (RUNNING_ON_VALGRIND)
		skip();
#endif
	assert_aborts(send_after_destroy, "channel 0x", "destroyed");
	in_task = send_after_destroy;
	assert_aborts(run_in_task, "channel 0x", "destroyed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_handler_that_waits_for_what_it_interrupted_aborts),
		cmocka_unit_test(test_a_handler_is_found_out_anywhere_on_a_coroutine_s_stack),
		cmocka_unit_test(test_a_handler_that_interrupted_a_semaphore_aborts),
		cmocka_unit_test(test_a_send_after_destroy_aborts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
