/* SPDX-License-Identifier: MIT */
/* A process ends while tasks run: exit() in a task, on a plain thread, or main()'s return. It must
 * end, with that status. */
#include "leaks.h"
#include "tests/sched/core/harness.h"

#include <pthread.h>
#include <weft/sync.h>

static flag busy;
static weft_mutex contended = WEFT_MUTEX_INIT;

/* Other tasks and threads compute, switch, sleep and wait while the process ends. */
static void *compute(void *arg)
{
	raise_flag(&busy);
	for (;;)
		__asm__ volatile("" ::: "memory");
	return arg;
}

static void *yield_on(void *arg)
{
	raise_flag(&busy);
	for (;;)
		weft_yield();
	return arg;
}

static void *spawn_on(void *arg)
{
	raise_flag(&busy);
	for (;;) {
		weft_task *task = NULL;
		if (weft_spawn(give_back, arg, &task) == 0)
			child_needs(weft_join(task, NULL));
	}
	return arg;
}

static void *lock_on(void *arg)
{
	raise_flag(&busy);
	for (;;) {
		weft_mutex_lock(&contended);
		weft_sleep(1000);
		weft_mutex_unlock(&contended);
	}
	return arg;
}

static weft_fn *const others[] = {compute, yield_on, spawn_on, lock_on, lock_on, sleep_for_ever};

static void make_busy(weft_runtime *rt)
{
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		child_needs(weft_submit(rt, others[i], NULL, NULL));
	spin_for(&busy, 5);
}

static void said_at_exit(void)
{
	static const char said[] = "exit handler\n";

	if (write(STDERR_FILENO, said, sizeof said - 1) < 0)
		_exit(1);
}

static void *exit_in_task(void *arg)
{
	make_busy(NULL);
	exit(11);
	return arg;
}

static void *exit_in_inline_fork(void *arg)
{
	weft_forked fork;

	weft_fork(&fork, exit_in_task, arg);
	return weft_fork_join(&fork);
}

static void *exit_while_exiting(void *arg)
{
	exit(11);
	return arg;
}

static void in_run(void *fn)
{
	expect_leaks();
	atexit(said_at_exit);
	set_number("WEFT_WORKERS", 8);
	child_got(weft_run(*(weft_fn **)fn, NULL, NULL));
	_exit(1);
}

static void from_main(void *unused)
{
	struct weft_runtime_options options = {.workers = 8};
	weft_runtime *rt = NULL;

	(void)unused;
	expect_leaks();
	atexit(said_at_exit);
	child_needs(weft_runtime_create(&options, &rt));
	make_busy(rt);
	exit(11);
}

static void *exit_thread(void *arg)
{
	exit(11);
	return arg;
}

static void from_thread(void *unused)
{
	struct weft_runtime_options options = {.workers = 8};
	weft_runtime *rt = NULL;
	weft_task *never = NULL;
	pthread_t thread;

	(void)unused;
	expect_leaks();
	atexit(said_at_exit);
	child_needs(weft_runtime_create(&options, &rt));
	make_busy(rt);
	child_needs(weft_submit(rt, sleep_for_ever, NULL, &never));
	pthread_create(&thread, NULL, exit_thread, NULL);
	child_got(weft_join(never, NULL));
	_exit(1);
}

static weft_runtime *live;

/* A careful program does this, but not before all tasks have ended. */
static void destroy_live(void)
{
	_exit(weft_runtime_destroy(live) == 0 ? 11 : 1);
}

static void *sleep_a_bit(void *arg)
{
	weft_sleep(1000000);
	return arg;
}

static void with_destroying_handler(void *unused)
{
	struct weft_runtime_options options = {.workers = 4};

	(void)unused;
	expect_leaks();
	child_needs(weft_runtime_create(&options, &live));
	atexit(destroy_live);
	for (int i = 0; i < 10; i++)
		child_needs(weft_submit(live, sleep_a_bit, NULL, NULL));
	said_at_exit();
	exit(1);
}

static struct child child;

static void assert_exits(void (*how)(void *), weft_fn *fn)
{
	child_run(&child, how, &fn);
	assert_true(child_exited_with(&child, 11));
	assert_non_null(strstr(child.said, "exit handler\n"));
	assert_int_equal(child_lines(&child), 0);
}

static void test_exit_in_a_task(void **state)
{
	(void)state;
	assert_exits(in_run, exit_in_task);
	assert_exits(in_run, exit_in_inline_fork);
	assert_exits(in_run, exit_while_exiting);
}

static void test_exit_on_a_thread(void **state)
{
	(void)state;
	assert_exits(from_main, NULL);
	assert_exits(from_thread, NULL);
}

static void test_the_runtime_may_be_destroyed_by_an_exit_handler(void **state)
{
	(void)state;
	assert_exits(with_destroying_handler, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exit_in_a_task),
		cmocka_unit_test(test_exit_on_a_thread),
		cmocka_unit_test(test_the_runtime_may_be_destroyed_by_an_exit_handler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
