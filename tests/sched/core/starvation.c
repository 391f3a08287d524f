/* SPDX-License-Identifier: MIT */
/*
 * When the system has no more stacks, spawn reports it. Every task that was accepted runs in the
 * end, and afterwards spawning works again. In a child process under a limit of address space.
 */
#include "harness.h"
#include "limited.h"

#define TASKS_MAX 20000

static flag go, ended;

/* Address space that is given back with `go`. Idle stacks may keep the rest, and spawning needs
 * some itself. */
#define RESERVE_SIZE ((size_t)48 << 20)
static void *reserve;

static void take_the_reserve(void)
{
	reserve = mmap(NULL, RESERVE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (reserve == MAP_FAILED)
		exit(99);
	limit_address_space(256);
}

static void let_them_go(void)
{
	if (reserve)
		munmap(reserve, RESERVE_SIZE);
	reserve = NULL;
	raise_flag(&go);
}

static void *hold_a_stack(void *arg)
{
	while (!is_raised(&go, 1))
		CHECK(weft_sleep(1000000) == 0);
	raise_flag(&ended);
	return arg;
}

static void *fork_without_a_stack(void *arg)
{
	weft_forked fork;

	weft_fork(&fork, give_back, &fork);
	CHECK(weft_fork_join(&fork) == &fork);
	return arg;
}

static int spawn_somehow(unsigned way, weft_task **ret_task)
{
	if (way % 3 == 0)
		return weft_spawn(hold_a_stack, NULL, ret_task);
	if (way % 3 == 1)
		return weft_spawn_with(NULL, hold_a_stack, NULL, ret_task);
	return weft_submit(NULL, hold_a_stack, NULL, ret_task);
}

#define REFUSALS 60

/* Idle workers give back the stacks that they keep. So after a refusal there may be some again. */
static unsigned spawn_until_refused(void)
{
	unsigned accepted = 0, refusals = 0;

	for (unsigned i = 0; refusals < REFUSALS && accepted < TASKS_MAX; i++) {
		weft_task *const untouched = (weft_task *)&accepted;
		weft_task *task = untouched;
		int rc = spawn_somehow(i, &task);

		CHECK(rc == 0 || rc == -ENOMEM);
		CHECK((rc == 0) == (task != untouched));
		if (rc == 0)
			CHECK(weft_detach(task) == 0);
		accepted += rc == 0;
		refusals = rc == 0 ? 0 : refusals + 1;
		weft_yield();
	}
	CHECK(refusals == REFUSALS);
	return accepted;
}

static void *exhaust_stacks(void *arg)
{
	unsigned accepted = spawn_until_refused();
	weft_task *task;
	int rc;

	(void)arg;
	fork_without_a_stack(NULL); /* runs on our stack */

	let_them_go();
	CHECK(yield_for(&ended, accepted));
	int64_t lost = weft_after(LOST_NS);
	while ((rc = weft_spawn(give_back, NULL, &task)) == -ENOMEM && weft_now() < lost)
		CHECK(weft_sleep(1000000) == 0);
	CHECK(rc == 0);
	if (rc == 0)
		CHECK(weft_join(task, NULL) == 0);
	return NULL;
}

static unsigned workers;

static void exhaust(void *arg)
{
	take_the_reserve();
	set_number("WEFT_WORKERS", workers);
	if (weft_run(exhaust_stacks, arg, NULL) != 0)
		exit(1);
	exit(checks_failed() == 0 ? 0 : 2);
}

static void assert_says_at_most_that_tasks_wait(const struct child *child)
{
	if (child->said[0] == '\0')
		return;
	if (child_lines(child) != 1 || !strstr(child->said, "weft: tasks wait for stacks"))
		fprintf(stderr, "said: %s", child->said);
	assert_int_equal(child_lines(child), 1);
	assert_ptr_equal(strstr(child->said, "weft: tasks wait for stacks"), child->said);
	assert_ptr_equal(strchr(child->said, '\n'), child->said + strlen(child->said) - 1);
}

static void test_accepted_tasks_run_in_the_end(void **state)
{
	static const unsigned counts[] = {1, 2, 4};

	(void)state;
	if (!can_limit_address_space())
		skip();
	for (unsigned i = 0; i < weft_test_scale(30); i++) {
		struct child child;

		workers = counts[i % 3];
		child_run(&child, exhaust, &child);
		assert_says_at_most_that_tasks_wait(&child);
		assert_true(child_exited_with(&child, 0));
	}
}

/* The same with tasks from a plain thread, and with stacks of an uncommon size. */
static void *hold_a_large_stack(void *arg)
{
	const struct weft_task_options options = {.stack_size = 8 << 20};
	weft_task *task;
	int rc = 0;

	for (unsigned i = 0; i < 1000 && rc == 0; i++) {
		rc = weft_spawn_with(&options, hold_a_stack, NULL, NULL);
		raise_flag(arg);
		weft_yield();
	}
	CHECK(rc == -ENOMEM);
	let_them_go();
	int64_t lost = weft_after(LOST_NS);
	while ((rc = weft_spawn_with(&options, give_back, NULL, &task)) == -ENOMEM &&
	       weft_now() < lost)
		CHECK(weft_sleep(1000000) == 0);
	CHECK(rc == 0);
	if (rc == 0)
		CHECK(weft_join(task, NULL) == 0);
	return NULL;
}

static void exhaust_otherwise(void *arg)
{
	struct weft_runtime_options options = {.workers = workers};
	unsigned accepted = 0;
	weft_runtime *rt;
	flag large = 0;
	int rc;

	(void)arg;
	take_the_reserve();
	if (weft_runtime_create(&options, &rt) != 0)
		exit(99);
	/* As many as necessary: nothing is refused before a worker has had time to look for a
	 * stack. */
	while ((rc = weft_submit(rt, hold_a_stack, NULL, NULL)) == 0) {
		accepted++;
		sched_yield();
	}
	if (rc != -ENOMEM)
		exit(1);
	let_them_go();
	if (!spin_for(&ended, accepted))
		exit(2);
	atomic_store_explicit(&go, 0, memory_order_relaxed);
	int64_t lost = weft_after(LOST_NS);
	while ((rc = weft_submit(rt, hold_a_large_stack, &large, NULL)) == -ENOMEM &&
	       weft_now() < lost)
		sched_yield();
	if (rc != 0 || weft_runtime_destroy(rt) != 0)
		exit(3);
	exit(checks_failed() == 0 ? 0 : 4);
}

static void test_tasks_from_outside_and_large_stacks(void **state)
{
	static const unsigned counts[] = {1, 2, 4};

	(void)state;
	if (!can_limit_address_space())
		skip();
	for (unsigned i = 0; i < weft_test_scale(15); i++) {
		struct child child;

		workers = counts[i % 3];
		child_run(&child, exhaust_otherwise, NULL);
		assert_says_at_most_that_tasks_wait(&child);
		assert_true(child_exited_with(&child, 0));
	}
}

/* A few tasks live on, at least one in each arena. The room of the others is free for stacks of
 * another size. */
#define LIVES_ON 8

static flag leave;

static void *live_on(void *arg)
{
	while (!is_raised(&leave, 1))
		CHECK(weft_sleep(1000000) == 0);
	return arg;
}

static void *keep_some_tasks(void *arg)
{
	/* Not the size that the first task of weft_run() has. */
	const struct weft_task_options options = {.stack_size = 6 << 20};
	unsigned accepted = 0;
	weft_task *task;
	int rc = 0;

	for (unsigned i = 0; rc == 0; i++) {
		rc = weft_spawn(i % LIVES_ON == 0 ? live_on : hold_a_stack, NULL, NULL);
		accepted += rc == 0 && i % LIVES_ON != 0;
		weft_yield();
	}
	CHECK(rc == -ENOMEM);
	raise_flag(&go);
	CHECK(yield_for(&ended, accepted));
	int64_t lost = weft_after(LOST_NS);
	while ((rc = weft_spawn_with(&options, give_back, NULL, &task)) == -ENOMEM &&
	       weft_now() < lost)
		CHECK(weft_sleep(1000000) == 0);
	CHECK(rc == 0);
	if (rc == 0)
		CHECK(weft_join(task, NULL) == 0);
	raise_flag(&leave);
	return arg;
}

static void keep_some(void *arg)
{
	limit_address_space(256);
	set_number("WEFT_WORKERS", workers);
	if (weft_run(keep_some_tasks, arg, NULL) != 0)
		exit(1);
	exit(checks_failed() == 0 ? 0 : 2);
}

static void test_tasks_that_live_on_leave_room_for_large_stacks(void **state)
{
	(void)state;
	if (!can_limit_address_space())
		skip();
	for (workers = 1; workers <= 4; workers *= 2) {
		struct child child;

		child_run(&child, keep_some, NULL);
		assert_says_at_most_that_tasks_wait(&child);
		assert_true(child_exited_with(&child, 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted_tasks_run_in_the_end),
		cmocka_unit_test(test_tasks_from_outside_and_large_stacks),
		cmocka_unit_test(test_tasks_that_live_on_leave_room_for_large_stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
