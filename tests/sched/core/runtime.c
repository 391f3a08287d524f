/* SPDX-License-Identifier: MIT */
/* Runtimes: what they run, what they refuse, and how several of them coexist. */
#include "harness.h"

#include <pthread.h>

static int answer = 42;

static void *return_answer(void *arg)
{
	CHECK(arg == &check_failures);
	CHECK(weft_worker_id() >= 0 && weft_worker_id() < (int)weft_runtime_workers(NULL));
	return &answer;
}

static void test_run_returns_the_result(void **state)
{
	void *result = NULL;

	(void)state;
	assert_int_equal(weft_run(return_answer, &check_failures, &result), 0);
	assert_ptr_equal(result, &answer);
	assert_int_equal(weft_run(return_answer, &check_failures, NULL), 0);
	assert_int_equal(checks_failed(), 0);
}

static void test_run_refuses_no_function(void **state)
{
	void *result = &answer;

	(void)state;
	assert_int_equal(weft_run(NULL, NULL, &result), -EINVAL);
	assert_ptr_equal(result, &answer);
}

static void *run_nested(void *arg)
{
	void *result = arg;

	CHECK(weft_run(give_back, NULL, &result) == -EDEADLK);
	CHECK(result == arg);
	return NULL;
}

static void test_run_in_a_task_is_refused(void **state)
{
	(void)state;
	assert_run(2, run_nested, &answer);
}

static flag ended;

static void *end_late(void *arg)
{
	CHECK(weft_sleep((int64_t)2000000) == 0);
	raise_flag(&ended);
	return arg;
}

static void *leave_tasks_behind(void *arg)
{
	for (unsigned i = 0; i < 10; i++)
		CHECK(weft_spawn(end_late, NULL, NULL) == 0);
	return arg;
}

static void test_run_returns_after_every_task(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 4; workers++) {
		atomic_store_explicit(&ended, 0, memory_order_relaxed);
		assert_run(workers, leave_tasks_behind, NULL);
		assert_int_equal(atomic_load_explicit(&ended, memory_order_relaxed), 10);
	}
}

/* More than a task's 188 KiB by far. A main() may take that for granted. */
static void *use_much_stack(void *arg)
{
	volatile char room[2 << 20];

	for (size_t i = 0; i < sizeof(room); i += 4096)
		room[i] = 1;
	return room[4096] == 1 ? arg : NULL;
}

static void test_run_has_a_main_stack(void **state)
{
	void *result = NULL;

	(void)state;
	assert_int_equal(weft_run(use_much_stack, &answer, &result), 0);
	assert_ptr_equal(result, &answer);
}

static void *yield_some(void *arg)
{
	weft_task *tasks[10];

	CHECK(!weft_coro_inside());
	for (unsigned i = 0; i < 10; i++)
		CHECK(weft_spawn(give_back, &tasks[i], &tasks[i]) == 0);
	for (unsigned i = 0; i < 200; i++)
		weft_yield();
	for (unsigned i = 0; i < 10; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	return arg;
}

static void *run_in_generator(void *in)
{
	CHECK(weft_run(yield_some, NULL, NULL) == 0);
	CHECK(weft_coro_inside());
	CHECK(weft_coro_yield(in) == &check_failures);
	CHECK(weft_run(yield_some, NULL, NULL) == 0);
	return NULL;
}

/* A generator's stack is then the leader's. */
static void test_run_in_a_generator(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		weft_coro *co;
		void *out = NULL;

		set_number("WEFT_WORKERS", workers);
		assert_int_equal(weft_coro_create(run_in_generator, 0, &co), 0);
		assert_int_equal(weft_coro_enter(co, state, &out), 0);
		assert_ptr_equal(out, state);
		assert_false(weft_coro_inside());
		assert_int_equal(weft_coro_enter(co, &check_failures, &out), 0);
		assert_true(weft_coro_done(co));
		weft_coro_destroy(co);
		unsetenv("WEFT_WORKERS");
		assert_int_equal(checks_failed(), 0);
	}
}

static void test_create_and_destroy(void **state)
{
	weft_runtime *rt = NULL;

	(void)state;
	assert_int_equal(weft_runtime_create(NULL, &rt), 0);
	assert_non_null(rt);
	assert_true(weft_runtime_workers(rt) >= 1);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(weft_runtime_destroy(NULL), 0);
}

static void assert_refused(const struct weft_runtime_options *options)
{
	weft_runtime *rt = (weft_runtime *)&answer;

	assert_int_equal(weft_runtime_create(options, &rt), -EINVAL);
	assert_ptr_equal(rt, &answer);
}

static void test_create_refuses_bad_options(void **state)
{
	(void)state;
	assert_int_equal(weft_runtime_create(NULL, NULL), -EINVAL);
	assert_refused(&(struct weft_runtime_options){.workers = 1025});
	assert_refused(&(struct weft_runtime_options){.stack_size = 16383});
}

static void test_create_takes_a_shorter_struct(void **state)
{
	/* The struct of a program that was compiled when there was only the first member. */
	struct weft_runtime_options options = {.workers = 3, .stack_size = 1};
	weft_runtime *rt = NULL;

	(void)state;
	assert_int_equal(weft_runtime_create_sized(&options, sizeof(options.workers), &rt), 0);
	assert_int_equal(weft_runtime_workers(rt), 3);
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

/* The struct of a program that was compiled with a later version. */
static void test_what_it_does_not_know_is_refused(void **state)
{
	struct {
		struct weft_runtime_options known;
		uint64_t more;
	} later = {.known = {.workers = 3}, .more = 1};
	struct {
		struct weft_task_options known;
		bool more;
	} later_task = {.more = true};
	weft_runtime *rt = (weft_runtime *)&answer;
	void *result = &answer;
	weft_task *task;

	(void)state;
	assert_int_equal(weft_runtime_create_sized(&later.known, sizeof later, &rt), -E2BIG);
	assert_ptr_equal(rt, &answer);
	assert_int_equal(weft_run_with_sized(&later.known, sizeof later, give_back, NULL, &result),
			 -E2BIG);
	assert_ptr_equal(result, &answer);
	/* Outside of a task, the first runtime that is found. */
	assert_int_equal(
		weft_spawn_with_sized(&later_task.known, sizeof later_task, give_back, NULL, &task),
		-E2BIG);
	later.more = 0;
	assert_int_equal(
		weft_run_with_sized(&later.known, sizeof later, give_back, &answer, &result), 0);
	assert_ptr_equal(result, &answer);
	assert_int_equal(weft_runtime_create_sized(&later.known, sizeof later, &rt), 0);
	assert_int_equal(weft_runtime_workers(rt), 3);
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

static void *destroy_own(void *arg)
{
	CHECK(weft_runtime_destroy(arg) == -EDEADLK);
	return NULL;
}

static void test_destroy_by_its_own_task_is_refused(void **state)
{
	weft_runtime *rt = assert_create(2);
	weft_task *task;

	(void)state;
	assert_int_equal(weft_submit(rt, destroy_own, rt, &task), 0);
	assert_int_equal(weft_join(task, NULL), 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

static void test_destroy_waits_for_every_task(void **state)
{
	(void)state;
	for (unsigned i = 0; i < weft_test_scale(50); i++) {
		weft_runtime *rt = assert_create(1 + i % 4);

		atomic_store_explicit(&ended, 0, memory_order_relaxed);
		for (unsigned n = 0; n < 5; n++)
			assert_int_equal(weft_submit(rt, end_late, NULL, NULL), 0);
		assert_int_equal(weft_submit(rt, leave_tasks_behind, NULL, NULL), 0);
		assert_int_equal(weft_runtime_destroy(rt), 0);
		assert_int_equal(atomic_load_explicit(&ended, memory_order_relaxed), 15);
	}
	assert_int_equal(checks_failed(), 0);
}

static void test_destroy_frees_unjoined_handles(void **state)
{
	weft_runtime *rt = assert_create(2);
	weft_task *task;

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(weft_submit(rt, give_back, NULL, &task), 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

/* A task of one runtime uses another one. It also creates and destroys one. */
static void *use_another(void *arg)
{
	weft_runtime *other = arg, *third = NULL;
	void *result = NULL;
	weft_task *task;

	CHECK(weft_submit(other, give_back, &answer, &task) == 0);
	CHECK(weft_join(task, &result) == 0);
	CHECK(result == &answer);
	CHECK(weft_runtime_workers(other) == 2);
	CHECK(weft_runtime_workers(NULL) == 3);

	struct weft_runtime_options options = {.workers = 2};
	CHECK(weft_runtime_create(&options, &third) == 0);
	CHECK(weft_submit(third, give_back, &answer, &task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(weft_runtime_destroy(third) == 0);
	return NULL;
}

static void test_several_runtimes_coexist(void **state)
{
	weft_runtime *a = assert_create(2);
	weft_runtime *b = assert_create(3);

	(void)state;
	assert_run(3, use_another, a);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(weft_submit(b, use_another, a, NULL), 0);
	assert_int_equal(weft_runtime_destroy(b), 0);
	assert_int_equal(weft_runtime_destroy(a), 0);
	assert_int_equal(checks_failed(), 0);
}

static void *run_one(void *arg)
{
	void *result = NULL;

	CHECK(weft_run(return_answer, &check_failures, &result) == 0);
	CHECK(result == &answer);
	return arg;
}

static void test_run_on_several_threads_at_once(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, run_one, NULL), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(checks_failed(), 0);
}

static void test_a_plain_thread_is_no_worker(void **state)
{
	(void)state;
	assert_int_equal(weft_worker_id(), -1);
	assert_int_equal(weft_runtime_workers(NULL), 0);
	assert_null(weft_self());
	weft_yield();
}

static void run_with_bad_environment(void *arg)
{
	void *result = arg;
	weft_runtime *rt;

	setenv("WEFT_WORKERS", "banana", 1);
	if (weft_run(give_back, NULL, &result) != -EINVAL || result != arg)
		exit(1);
	fputs("and\n", stderr);
	exit(weft_runtime_create(NULL, &rt) == -EINVAL ? 0 : 2);
}

static void test_a_bad_variable_makes_the_start_fail(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, run_with_bad_environment, &child);
	assert_true(child_exited_with(&child, 0));
	assert_int_equal(child_lines(&child), 2);
	assert_int_equal(strncmp(child.said, "weft: WEFT_WORKERS=\"banana\": ", 29), 0);
}

/* Options beat the environment. */
static void *say_worker_count(void *arg)
{
	*(unsigned *)arg = weft_runtime_workers(NULL);
	return arg;
}

static void test_run_with_options(void **state)
{
	struct weft_runtime_options options = {.workers = 3};
	unsigned count = 0;
	void *result = NULL;

	(void)state;
	set_number("WEFT_WORKERS", 2);
	assert_int_equal(weft_run_with(&options, say_worker_count, &count, &result), 0);
	assert_ptr_equal(result, &count);
	assert_int_equal(count, 3);
	assert_int_equal(weft_run_with(NULL, say_worker_count, &count, NULL), 0);
	assert_int_equal(count, 2);
	unsetenv("WEFT_WORKERS");
	options.stack_size = 1;
	count = 0;
	result = NULL;
	assert_int_equal(weft_run_with(&options, say_worker_count, &count, &result), -EINVAL);
	assert_int_equal(weft_run_with(&options, NULL, NULL, &result), -EINVAL);
	assert_int_equal(count, 0);
	assert_null(result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_run_returns_the_result),
		cmocka_unit_test(test_run_refuses_no_function),
		cmocka_unit_test(test_run_in_a_task_is_refused),
		cmocka_unit_test(test_run_returns_after_every_task),
		cmocka_unit_test(test_run_has_a_main_stack),
		cmocka_unit_test(test_run_in_a_generator),
		cmocka_unit_test(test_create_and_destroy),
		cmocka_unit_test(test_create_refuses_bad_options),
		cmocka_unit_test(test_create_takes_a_shorter_struct),
		cmocka_unit_test(test_what_it_does_not_know_is_refused),
		cmocka_unit_test(test_destroy_by_its_own_task_is_refused),
		cmocka_unit_test(test_destroy_waits_for_every_task),
		cmocka_unit_test(test_destroy_frees_unjoined_handles),
		cmocka_unit_test(test_several_runtimes_coexist),
		cmocka_unit_test(test_run_on_several_threads_at_once),
		cmocka_unit_test(test_a_plain_thread_is_no_worker),
		cmocka_unit_test(test_a_bad_variable_makes_the_start_fail),
		cmocka_unit_test(test_run_with_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
