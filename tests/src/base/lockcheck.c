/* SPDX-License-Identifier: MIT */
/* The check of the order of locks: each planted breach aborts with one line that names both places,
 * and what the rules allow does not. Each case runs in a child process. */
#include "src/base/lockcheck.h"

#include "src/base/alloc.h"
#include "src/base/futex.h"
#include "src/base/lock.h"
#include "src/base/pages.h"
#include "src/base/process_locks.h"
#include "src/stack/arena.h"
#include "tests/src/child.h"

#include <weft/base.h>
#include <weft/coro.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static struct weft__lock queue = WEFT__LOCK_INIT(QUEUE);
static struct weft__lock admin = WEFT__LOCK_INIT(ADMIN);
static struct weft__lock idle = WEFT__LOCK_INIT(IDLE);
static struct weft__lock channels[2] = {WEFT__LOCK_INIT(CHANNEL), WEFT__LOCK_INIT(CHANNEL)};
static struct weft__lock depots[2] = {WEFT__LOCK_INIT(DEPOT), WEFT__LOCK_INIT(DEPOT)};
static _Atomic uint32_t word;

/* Returns whether the text has `what`, and after it this file's name `places` times. */
static void assert_says(const struct child *child, const char *what, unsigned places)
{
	const char *at = strstr(child->said, what);

	assert_non_null(at);
	for (unsigned i = 0; i < places; i++) {
		at = strstr(at, "lockcheck.c:");
		assert_non_null(at);
		at++;
	}
}

static void assert_refused(void (*fn)(void *arg), const char *what, const char *held,
			   unsigned places)
{
	struct child child;

	child_run(&child, fn, NULL);
	assert_true(child_died_of(&child, SIGABRT));
	assert_int_equal(child_lines(&child), 1);
	assert_says(&child, what, places);
	assert_says(&child, held, 0);
}

static void assert_allowed(void (*fn)(void *arg))
{
	struct child child;

	child_run(&child, fn, NULL);
	assert_true(child_exited_with(&child, 0));
}

static void take_outer_lock_last(void *arg)
{
	(void)arg;
	weft__lock(&idle);
	weft__lock(&admin);
}

static void take_in_order(void *arg)
{
	(void)arg;
	weft__lock(&admin);
	weft__lock(&idle);
	weft__unlock(&admin);
	weft__unlock(&idle);
	weft__lock(&idle);
	weft__unlock(&idle);
}

/* idle_lock comes later, but nobody takes it inside WEFT__LOCK_TRIM. */
static void take_what_is_not_next(void *arg)
{
	(void)arg;
	weft__lock_process(WEFT__LOCK_TRIM);
	weft__lock(&idle);
}

static void try_outer_lock_last(void *arg)
{
	(void)arg;
	weft__lock(&idle);
	if (!weft__trylock(&admin))
		_exit(1);
	weft__unlock(&admin);
	weft__unlock(&idle);
}

static void test_the_order_is_kept(void **state)
{
	(void)state;
	assert_refused(take_outer_lock_last, "runtime.admin", "holds runtime.idle_lock", 2);
	assert_refused(take_what_is_not_next, "runtime.idle_lock", "holds WEFT__LOCK_TRIM", 2);
	assert_allowed(take_in_order);
	assert_allowed(try_outer_lock_last);
}

static void take_twice(void *arg)
{
	(void)arg;
	weft__lock(&queue);
	weft__lock(&queue);
}

static void take_falling(void *arg)
{
	(void)arg;
	weft__lock(&channels[1]);
	weft__lock(&channels[0]);
}

static void take_rising(void *arg)
{
	(void)arg;
	weft__lock(&channels[0]);
	weft__lock(&channels[1]);
	weft__unlock(&channels[0]);
	weft__unlock(&channels[1]);
}

static void take_two_depots(void *arg)
{
	(void)arg;
	weft__lock(&depots[1]);
	weft__lock(&depots[0]);
}

static void take_two_depots_under_the_list(void *arg)
{
	weft__lock_process(WEFT__LOCK_DEPOTS);
	take_two_depots(arg);
	weft__unlock(&depots[0]);
	weft__unlock(&depots[1]);
	weft__unlock_process(WEFT__LOCK_DEPOTS);
}

static void test_two_locks_of_one_rank_have_a_rule(void **state)
{
	(void)state;
	assert_refused(take_twice, "sync_queue.lock", "holds sync_queue.lock", 2);
	assert_refused(take_falling, "weft_chan.lock", "holds weft_chan.lock", 2);
	assert_refused(take_two_depots, "depot.lock", "holds depot.lock", 2);
	assert_allowed(take_rising);
	assert_allowed(take_two_depots_under_the_list);
}

static void *take_admin(void *arg)
{
	weft__lock(&admin);
	weft__unlock(&admin);
	return arg;
}

static void take_in_another_thread(void *arg)
{
	pthread_t thread;

	weft__lock(&idle);
	child_needs(pthread_create(&thread, NULL, take_admin, arg));
	pthread_join(thread, NULL);
	weft__unlock(&idle);
}

static void give_back_what_is_free(void *arg)
{
	(void)arg;
	weft__unlock(&idle);
}

static void take_what_has_no_rank(void *arg)
{
	struct weft__lock lock = {0};

	(void)arg;
	weft__lock(&lock);
}

static void test_each_thread_has_its_own_record(void **state)
{
	(void)state;
	assert_allowed(take_in_another_thread);
	assert_refused(give_back_what_is_free, "lock order:", "does not hold", 1);
	assert_refused(take_what_has_no_rank, "lock order:", "no rank", 1);
}

static void *yield_under_lock(void *arg)
{
	weft__lock(&queue);
	return weft_coro_yield(arg);
}

static void switch_under_lock(void *arg)
{
	weft_coro *co;

	child_needs(weft_coro_create(yield_under_lock, 0, &co));
	weft_coro_enter(co, arg, &arg);
}

static void *end_under_lock(void *arg)
{
	weft__lock(&queue);
	return arg;
}

static void end_coroutine_under_lock(void *arg)
{
	weft_coro *co;

	child_needs(weft_coro_create(end_under_lock, 0, &co));
	weft_coro_enter(co, arg, &arg);
}

static void test_no_switch_under_a_lock(void **state)
{
	(void)state;
	assert_refused(switch_under_lock, "a coroutine is switched", "holds sync_queue.lock", 1);
	assert_refused(end_coroutine_under_lock, "a coroutine is switched", "holds sync_queue.lock",
		       1);
}

static void map_under_lock(void *arg)
{
	(void)arg;
	weft__lock(&queue);
	weft__arena_map(NULL, 65536, 0, 1);
}

static void give_back_under_lock(void *page)
{
	weft__lock(&queue);
	weft__pages_discard(page, 1);
}

static void allocate_under_lock(void *arg)
{
	(void)arg;
	weft__lock(&queue);
	free(weft__malloc(1));
}

static void allocate_where_that_is_allowed(void *arg)
{
	(void)arg;
	weft__lock(&admin);
	free(weft__malloc(1));
	weft__unlock(&admin);
}

static void test_no_memory_is_mapped_under_a_queues_lock(void **state)
{
	(void)state;
	assert_refused(map_under_lock, "memory is allocated, mapped", "holds sync_queue.lock", 1);
	assert_refused(give_back_under_lock, "memory is allocated, mapped", "holds sync_queue.lock",
		       1);
	assert_refused(allocate_under_lock, "memory is allocated, mapped", "holds sync_queue.lock",
		       2);
	assert_allowed(allocate_where_that_is_allowed);
}

static void wake_under_lock(void *arg)
{
	(void)arg;
	weft__lock(&queue);
	weft__futex_wake(&word, 1);
}

static void wake_where_that_is_allowed(void *arg)
{
	(void)arg;
	weft__lock(&admin);
	weft__futex_wake(&word, 1);
	weft__unlock(&admin);
}

static void sleep_under_lock(void *arg)
{
	(void)arg;
	weft__lock(&admin);
	weft__futex_wait(&word, 1, WEFT_FOREVER);
}

static void test_nobody_is_woken_or_sleeps_under_a_lock(void **state)
{
	(void)state;
	assert_refused(wake_under_lock, "a thread is woken", "holds sync_queue.lock", 2);
	assert_refused(sleep_under_lock, "the thread goes to sleep", "holds runtime.admin", 2);
	assert_allowed(wake_where_that_is_allowed);
}

static void *return_arg(void *arg)
{
	return arg;
}

/* Makes a pool of stacks, so that the handlers of fork() have many locks to take. */
static void fork_and_use_locks(void *arg)
{
	weft_coro *co;
	int status;

	child_needs(weft_coro_create(return_arg, 0, &co));
	pid_t pid = fork();
	take_in_order(arg);
	weft_coro_enter(co, arg, &arg);
	weft_coro_destroy(co);
	if (pid > 0 && (waitpid(pid, &status, 0) != pid || status != 0))
		_exit(1);
}

static void test_a_fork_takes_all_locks_of_the_process(void **state)
{
	(void)state;
	assert_allowed(fork_and_use_locks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_order_is_kept),
		cmocka_unit_test(test_two_locks_of_one_rank_have_a_rule),
		cmocka_unit_test(test_each_thread_has_its_own_record),
		cmocka_unit_test(test_no_switch_under_a_lock),
		cmocka_unit_test(test_no_memory_is_mapped_under_a_queues_lock),
		cmocka_unit_test(test_nobody_is_woken_or_sleeps_under_a_lock),
		cmocka_unit_test(test_a_fork_takes_all_locks_of_the_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
