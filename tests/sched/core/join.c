/* SPDX-License-Identifier: MIT */
/* Joining and detaching, in every order with the task's end. */
#include "harness.h"

#include <pthread.h>

#define ROUNDS 2000

static int token;

struct gate {
	flag started, open, left;
};

static void *pass_gate(void *arg)
{
	struct gate *gate = arg;

	raise_flag(&gate->started);
	CHECK(yield_for(&gate->open, 1));
	raise_flag(&gate->left);
	return &token;
}

static void *open_gate(void *arg)
{
	struct gate *gate = arg;

	weft_yield();
	raise_flag(&gate->open);
	return NULL;
}

static void *join_before_the_start(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		weft_task *task;
		void *result = NULL;

		CHECK(weft_spawn(give_back, &token, &task) == 0);
		CHECK(weft_join(task, &result) == 0);
		CHECK(result == &token);
		CHECK(weft_spawn(give_back, &token, &task) == 0);
		CHECK(weft_join(task, NULL) == 0);
	}
	return arg;
}

static void *join_while_it_runs(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		struct gate gate = {0};
		weft_task *task;
		void *result = NULL;

		CHECK(weft_spawn(pass_gate, &gate, &task) == 0);
		CHECK(yield_for(&gate.started, 1));
		CHECK(weft_spawn(open_gate, &gate, NULL) == 0);
		CHECK(weft_join(task, &result) == 0);
		CHECK(result == &token);
	}
	return arg;
}

static void *join_after_the_end(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		struct gate gate = {0};
		weft_task *task;
		void *result = NULL;

		raise_flag(&gate.open);
		CHECK(weft_spawn(pass_gate, &gate, &task) == 0);
		CHECK(yield_for(&gate.left, 1));
		weft_yield();
		CHECK(weft_join_until(task, &result, weft_after(LOST_NS)) == 0);
		CHECK(result == &token);
	}
	return arg;
}

static void test_join_in_every_order(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++) {
		assert_run(workers, join_before_the_start, NULL);
		assert_run(workers, join_while_it_runs, NULL);
		assert_run(workers, join_after_the_end, NULL);
	}
}

static void test_join_by_a_plain_thread(void **state)
{
	weft_runtime *rt = assert_create(2);

	(void)state;
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		struct gate gate = {0};
		weft_task *task;
		void *result = NULL;

		assert_int_equal(weft_submit(rt, pass_gate, &gate, &task), 0);
		if (i % 2 == 0)
			assert_true(spin_for(&gate.started, 1));
		assert_int_equal(weft_join_until(task, &result, 0), -ETIMEDOUT);
		assert_int_equal(weft_join_until(task, &result, 1), -ETIMEDOUT);
		assert_int_equal(weft_join_until(task, &result, weft_after(1000)), -ETIMEDOUT);
		assert_null(result);
		assert_int_equal(weft_submit(rt, open_gate, &gate, NULL), 0);
		assert_int_equal(weft_join(task, &result), 0);
		assert_ptr_equal(result, &token);
	}
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

static void *join_with_deadlines(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(ROUNDS / 10); i++) {
		struct gate gate = {0};
		weft_task *task;
		void *result = arg;

		CHECK(weft_spawn(pass_gate, &gate, &task) == 0);
		CHECK(weft_join_until(task, &result, 0) == -ETIMEDOUT);
		CHECK(weft_join_until(task, &result, -1) == -ETIMEDOUT);
		CHECK(weft_join_until(task, &result, weft_now() - 1) == -ETIMEDOUT);
		int64_t deadline = weft_after(100000);
		CHECK(weft_join_until(task, &result, deadline) == -ETIMEDOUT);
		CHECK(weft_now() >= deadline);
		CHECK(result == arg);
		raise_flag(&gate.open);
		CHECK(weft_join_until(task, &result, weft_after(LOST_NS)) == 0);
		CHECK(result == &token);

		/* An ended task is joined, whatever the deadline. */
		CHECK(weft_spawn(give_back, &token, &task) == 0);
		int rc;
		while ((rc = weft_join_until(task, &result, 0)) == -ETIMEDOUT)
			weft_yield();
		CHECK(rc == 0);
	}
	return arg;
}

static void test_join_until_gives_up(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, join_with_deadlines, NULL);
}

/* The task ends at about the joiner's deadline. One of the two wins, never both or none. */
static void *end_at(void *arg)
{
	CHECK(weft_sleep_until((int64_t)(intptr_t)arg) == 0);
	return &token;
}

static void *join_at_the_deadline(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		int64_t deadline = weft_after(20000);
		weft_task *task;
		void *result = NULL;

		CHECK(weft_spawn(end_at, (void *)(intptr_t)deadline, &task) == 0);
		int rc = weft_join_until(task, &result, deadline);
		CHECK(rc == 0 || rc == -ETIMEDOUT);
		CHECK(result == (rc == 0 ? &token : NULL));
		if (rc < 0)
			CHECK(weft_join(task, &result) == 0);
		CHECK(result == &token);
	}
	return arg;
}

static void test_join_until_races_with_the_end(void **state)
{
	(void)state;
	assert_run(1, join_at_the_deadline, NULL);
	assert_run(4, join_at_the_deadline, NULL);
}

/*
 * The parent's join starts the child, which is at the bottom of its deque:
 *
 *   parent                     child            canceller (with one worker: nobody else runs)
 *   cancelled, joins: gives up, the child has not started
 *   joins again, masked        started
 *
 *   joins                      started
 *                                               cancels the parent
 *   gives up                                    opens the gate
 *   joins again, masked        ends
 */
struct duty {
	struct gate gate;
	flag gave_up;
};

static void *join_what_it_starts(void *arg)
{
	struct duty *duty = arg;
	weft_task *child;
	void *result = NULL;

	CHECK(weft_spawn(pass_gate, &duty->gate, &child) == 0);
	CHECK(weft_join(child, &result) == -ECANCELED);
	CHECK(result == NULL);
	raise_flag(&duty->gave_up);
	weft_cancel_mask();
	CHECK(weft_join(child, &result) == 0);
	weft_cancel_unmask();
	CHECK(result == &token);
	return NULL;
}

static void *cancel_joiners(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		struct duty duty = {0};
		weft_task *parent;

		CHECK(weft_spawn(join_what_it_starts, &duty, &parent) == 0);
		if (i % 2 == 0)
			CHECK(yield_for(&duty.gate.started, 1));
		CHECK(weft_cancel(parent) == 0);
		CHECK(yield_for(&duty.gave_up, 1));
		raise_flag(&duty.gate.open);
		CHECK(weft_join(parent, NULL) == 0);
	}
	return arg;
}

static void test_joiners_that_start_give_up(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, cancel_joiners, NULL);
}

/* Ends at any time while its parent is cancelled in the join that has started it. */
static void *end_soon(void *arg)
{
	for (unsigned i = *(unsigned *)arg; i > 0; i--)
		weft_yield();
	return &token;
}

static void *join_at_the_end(void *arg)
{
	weft_task *child;
	void *result = NULL;

	CHECK(weft_spawn(end_soon, arg, &child) == 0);
	int rc = weft_join(child, &result);
	if (rc < 0) {
		CHECK(rc == -ECANCELED && result == NULL);
		weft_cancel_mask();
		CHECK(weft_join(child, &result) == 0);
		weft_cancel_unmask();
	}
	CHECK(result == &token);
	return NULL;
}

static void *cancel_at_the_end(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(5 * ROUNDS); i++) {
		unsigned yields = i % 4;
		weft_task *parent;

		CHECK(weft_spawn(join_at_the_end, &yields, &parent) == 0);
		for (unsigned n = i / 4 % 4; n > 0; n--)
			weft_yield();
		CHECK(weft_cancel(parent) == 0);
		CHECK(weft_join(parent, NULL) == 0);
	}
	return arg;
}

static void test_cancel_races_with_the_end(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++)
		assert_run(workers, cancel_at_the_end, NULL);
}

static void *join_oneself(void *arg)
{
	void *result = arg;

	CHECK(weft_join(weft_self(), &result) == -EDEADLK);
	CHECK(weft_join_until(weft_self(), &result, 0) == -EDEADLK);
	CHECK(result == arg);
	CHECK(weft_join(NULL, NULL) == -EINVAL);
	CHECK(weft_join_until(NULL, NULL, WEFT_FOREVER) == -EINVAL);
	CHECK(weft_detach(NULL) == -EINVAL);
	return arg;
}

static void test_join_arguments(void **state)
{
	(void)state;
	assert_run(1, join_oneself, &token);
	assert_int_equal(weft_join(NULL, NULL), -EINVAL);
	assert_int_equal(weft_detach(NULL), -EINVAL);
}

static void *detach_in_every_order(void *arg)
{
	flag *left = arg;

	for (unsigned i = 0; i < weft_test_scale(ROUNDS); i++) {
		struct gate gate = {0};
		weft_task *task;

		CHECK(weft_spawn(give_back, NULL, &task) == 0); /* perhaps unstarted */
		CHECK(weft_detach(task) == 0);

		CHECK(weft_spawn(pass_gate, &gate, &task) == 0); /* running */
		CHECK(yield_for(&gate.started, 1));
		CHECK(weft_detach(task) == 0);
		raise_flag(&gate.open);
		CHECK(yield_for(&gate.left, 1));
		raise_flag(left);

		CHECK(weft_spawn(pass_gate, &gate, &task) == 0); /* ended, or about to */
		CHECK(yield_for(&gate.left, 2));
		if (i % 2 == 0)
			weft_yield();
		CHECK(weft_detach(task) == 0);
	}
	return NULL;
}

static void test_detach_in_every_order(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++) {
		flag left = 0;

		assert_run(workers, detach_in_every_order, &left);
		assert_int_equal(left, weft_test_scale(ROUNDS));
	}
}

/* A freed handle's memory becomes that of a later task. No later task has anything of the
 * former's. */
static void *reuse_handles(void *arg)
{
	for (uintptr_t i = 0; i < weft_test_scale(20000); i++) {
		weft_task *tasks[3];
		void *results[3] = {NULL};

		for (uintptr_t n = 0; n < 3; n++)
			CHECK(weft_spawn(give_back, (void *)(4 * i + n), &tasks[n]) == 0);
		CHECK(tasks[0] != tasks[1] && tasks[1] != tasks[2] && tasks[0] != tasks[2]);
		CHECK(weft_task_name(tasks[0])[0] == '\0');
		CHECK(weft_cancel(tasks[1]) == 0);
		CHECK(weft_join(tasks[2], &results[2]) == 0);
		CHECK(weft_join(tasks[0], &results[0]) == 0);
		CHECK(weft_join(tasks[1], &results[1]) == 0);
		for (uintptr_t n = 0; n < 3; n++)
			CHECK(results[n] == (void *)(4 * i + n));
	}
	return arg;
}

static void test_handles_are_reused(void **state)
{
	(void)state;
	assert_run(1, reuse_handles, NULL);
	assert_run(3, reuse_handles, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_join_in_every_order),
		cmocka_unit_test(test_join_by_a_plain_thread),
		cmocka_unit_test(test_join_until_gives_up),
		cmocka_unit_test(test_join_until_races_with_the_end),
		cmocka_unit_test(test_joiners_that_start_give_up),
		cmocka_unit_test(test_cancel_races_with_the_end),
		cmocka_unit_test(test_join_arguments),
		cmocka_unit_test(test_detach_in_every_order),
		cmocka_unit_test(test_handles_are_reused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
