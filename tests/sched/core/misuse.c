/* SPDX-License-Identifier: MIT */
/* Misuse that can only be a bug: one line that names the call, the task and the mistake, then
 * abort(). */
#include "harness.h"

static flag started;

static void *sleep_long(void *arg)
{
	raise_flag(&started);
	weft_sleep_until(WEFT_FOREVER);
	return arg;
}

static weft_task *spawn_long(void)
{
	const struct weft_task_options options = {.name = "victim"};
	weft_task *task = NULL;

	child_needs(weft_spawn_with(&options, sleep_long, NULL, &task));
	yield_for(&started, 1);
	return task;
}

static void *join_long(void *arg)
{
	raise_flag(&started);
	child_got(weft_join(arg, NULL));
	return NULL;
}

static void *join_detached(void *arg)
{
	weft_task *task = spawn_long();

	weft_detach(task);
	child_got(weft_join(task, NULL));
	return arg;
}

static void *join_twice(void *arg)
{
	weft_task *task = spawn_long();

	child_needs(weft_spawn(join_long, task, NULL));
	yield_for(&started, 2);
	weft_yield();
	child_got(weft_join(task, NULL));
	return arg;
}

static void *detach_twice(void *arg)
{
	weft_task *task = spawn_long();

	weft_detach(task);
	weft_detach(task);
	return arg;
}

static void *detach_joined(void *arg)
{
	weft_task *task = spawn_long();

	child_needs(weft_spawn(join_long, task, NULL));
	yield_for(&started, 2);
	weft_yield();
	weft_detach(task);
	return arg;
}

static void *unmask_unmasked(void *arg)
{
	weft_cancel_mask();
	weft_cancel_unmask();
	weft_cancel_unmask();
	return arg;
}

static void *mask_too_deep(void *arg)
{
	for (unsigned i = 0; i < 65536; i++)
		weft_cancel_mask();
	return arg;
}

static void *fork_without_storage(void *arg)
{
	weft_fork(NULL, give_back, arg);
	return arg;
}

static void *fork_without_function(void *arg)
{
	weft_forked storage;

	weft_fork(&storage, NULL, arg);
	return arg;
}

static void *join_no_fork(void *arg)
{
	weft_fork_join(NULL);
	return arg;
}

/* Runs as a call, or on a stack of its own. */
static void *join_fork_twice(void *arg)
{
	weft_forked forks[2];

	weft_fork(&forks[0], give_back, arg);
	weft_fork(&forks[1], give_back, arg);
	weft_fork_join(&forks[arg ? 0 : 1]);
	weft_fork_join(&forks[arg ? 1 : 0]);
	weft_fork_join(&forks[0]);
	return arg;
}

static void *join_what_is_no_fork(void *arg)
{
	weft_forked storage;

	memset(&storage, 0, sizeof(storage));
	weft_fork_join(&storage);
	return arg;
}

/* No other worker takes it meanwhile. It lies deep enough that the task's end does not overwrite
 * it. */
static void *forget_fork(void *arg)
{
	struct {
		weft_forked storage;
		char above[16384];
	} frame;

	__asm__ volatile("" : : "r"(frame.above) : "memory");
	weft_fork(&frame.storage, sleep_for_ever, NULL);
	return arg;
}

static void *join_who_forgets(void *arg)
{
	weft_task *task = NULL;

	child_needs(weft_spawn(forget_fork, arg, &task));
	child_got(weft_join(task, NULL));
	weft_sleep_until(WEFT_FOREVER);
	return arg;
}

static weft_fn *act;
static void *act_on;

static void in_a_run(void *arg)
{
	set_number("WEFT_WORKERS", 1);
	child_got(weft_run(act, arg ? arg : act_on, NULL));
}

static void on_a_thread(void *arg)
{
	act(arg);
}

static void assert_aborts_in_a_task(weft_fn *fn, const char *call, const char *why)
{
	act = fn;
	assert_aborts(in_a_run, call, why);
}

static void test_joining(void **state)
{
	(void)state;
	assert_aborts_in_a_task(join_detached, "weft_join: task ", "\"victim\" is detached");
	assert_aborts_in_a_task(join_twice, "weft_join: task ", "\"victim\" is being joined");
	assert_aborts_in_a_task(detach_twice, "weft_detach: task ", "\"victim\" is detached");
	assert_aborts_in_a_task(detach_joined, "weft_detach: task ", "\"victim\" is being joined");
}

static void join_it(weft_task *task)
{
	child_got(weft_join(task, NULL));
}

static void end_and_detach(weft_task *task)
{
	weft_yield();
	weft_detach(task);
	weft_yield();
}

/* A handle that was given up, of a task that has ended. */
static weft_task *freed(void (*give_up)(weft_task *task))
{
	weft_task *task = NULL;

	if (weft_spawn(give_back, NULL, &task) == 0)
		give_up(task);
	return task;
}

static void *join_joined(void *arg)
{
	child_got(weft_join(freed(join_it), NULL));
	return arg;
}

static void *join_gone(void *arg)
{
	child_got(weft_join(freed(end_and_detach), NULL));
	return arg;
}

static void *detach_gone(void *arg)
{
	weft_detach(freed(join_it));
	return arg;
}

/* No other task has the memory yet. */
static void test_freed_handles(void **state)
{
	(void)state;
	assert_aborts_in_a_task(join_joined, "weft_join: task ", "is joined or detached already");
	assert_aborts_in_a_task(join_gone, "weft_join: task ", "detached");
	assert_aborts_in_a_task(detach_gone, "weft_detach: task ", "is joined or detached already");
}

static void test_masking(void **state)
{
	(void)state;
	assert_aborts_in_a_task(unmask_unmasked, "weft_cancel_unmask: task ", "no masked region");
	assert_aborts_in_a_task(mask_too_deep, "weft_cancel_mask: task ", "too deep");
}

static void test_forking(void **state)
{
	(void)state;
	assert_aborts_in_a_task(fork_without_storage, "weft_fork: ", "storage is NULL");
	assert_aborts_in_a_task(fork_without_function, "weft_fork: ", "function is NULL");
	assert_aborts_in_a_task(join_no_fork, "weft_fork_join: ", "storage is NULL");
	act = fork_without_function;
	assert_aborts(on_a_thread, "weft_fork: ", "function is NULL");
	act = join_no_fork;
	assert_aborts(on_a_thread, "weft_fork_join: ", "storage is NULL");
}

static void test_fork_lives(void **state)
{
	(void)state;
	assert_aborts_in_a_task(join_fork_twice, "weft_fork_join: 0x", "joined already");
	act_on = &act_on;
	assert_aborts_in_a_task(join_fork_twice, "weft_fork_join: 0x", "joined already");
	act_on = NULL;
	assert_aborts_in_a_task(join_what_is_no_fork, "weft_fork_join: 0x", "is not a fork");
	/* AddressSanitizer reports the dead frame first. ThreadSanitizer's own calls overwrite
	 * it. */
	if (!CHILD_ASAN && !CHILD_TSAN)
		assert_aborts_in_a_task(join_who_forgets, "weft_fork: task ", "was not joined");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_joining),    cmocka_unit_test(test_freed_handles),
		cmocka_unit_test(test_masking),    cmocka_unit_test(test_forking),
		cmocka_unit_test(test_fork_lives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
