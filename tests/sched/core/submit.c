/* SPDX-License-Identifier: MIT */
/* Submitting: from plain threads, from tasks of this runtime and of another one. */
#include "harness.h"

#include <pthread.h>
#include <string.h>

#define THREADS 4

static flag ran;
static int token;

static void *count_up(void *arg)
{
	CHECK(arg == &token);
	CHECK(weft_worker_id() >= 0);
	CHECK(weft_self() != NULL);
	raise_flag(&ran);
	return arg;
}

static void test_arguments(void **state)
{
	weft_runtime *rt = assert_create(1);
	weft_task *task = (weft_task *)&token;

	(void)state;
	assert_int_equal(weft_submit(rt, NULL, NULL, &task), -EINVAL);
	assert_int_equal(weft_submit(NULL, give_back, NULL, &task), -EPERM);
	assert_ptr_equal(task, &token);
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

static void *submit_many(void *arg)
{
	for (unsigned i = 0; i < weft_test_scale(20000); i++) {
		weft_task *task;
		void *result = NULL;

		if (i % 4 != 0) {
			CHECK(weft_submit(arg, count_up, &token, NULL) == 0);
			continue;
		}
		CHECK(weft_submit(arg, count_up, &token, &task) == 0);
		CHECK(weft_join(task, &result) == 0);
		CHECK(result == &token);
	}
	return NULL;
}

static void test_from_many_threads(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 3; workers++) {
		weft_runtime *rt = assert_create(workers);
		pthread_t threads[THREADS];

		atomic_store_explicit(&ran, 0, memory_order_relaxed);
		for (unsigned i = 0; i < THREADS; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, submit_many, rt), 0);
		for (unsigned i = 0; i < THREADS; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(weft_runtime_destroy(rt), 0);
		assert_int_equal(checks_failed(), 0);
		assert_int_equal(atomic_load_explicit(&ran, memory_order_relaxed),
				 THREADS * weft_test_scale(20000));
	}
}

static void *submit_to_own(void *arg)
{
	weft_task *task;
	void *result = NULL;

	CHECK(weft_submit(NULL, count_up, &token, &task) == 0);
	CHECK(weft_join(task, &result) == 0);
	CHECK(result == &token);
	CHECK(weft_submit(arg, count_up, &token, &task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(weft_submit(NULL, NULL, NULL, NULL) == -EINVAL);
	return NULL;
}

static void test_from_a_task_to_its_own_runtime(void **state)
{
	weft_runtime *rt = assert_create(2);

	(void)state;
	assert_int_equal(weft_submit(rt, submit_to_own, rt, NULL), 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

static void *submit_to_other(void *arg)
{
	submit_many(arg);
	return NULL;
}

static void test_from_tasks_to_another_runtime(void **state)
{
	weft_runtime *rt = assert_create(2);

	(void)state;
	atomic_store_explicit(&ran, 0, memory_order_relaxed);
	assert_run(2, submit_to_other, rt);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(atomic_load_explicit(&ran, memory_order_relaxed), weft_test_scale(20000));
}

/* The runtime of weft_run(), from a thread that a library has started. */
static void *submit_from_thread(void *arg)
{
	weft_task *task;
	void *result = NULL;

	CHECK(weft_runtime_self() == NULL);
	CHECK(weft_submit(NULL, give_back, NULL, NULL) == -EPERM);
	CHECK(weft_submit(arg, give_back, &token, &task) == 0);
	CHECK(weft_join(task, &result) == 0 && result == &token);
	return submit_many(arg);
}

static void *hand_out_runtime(void *arg)
{
	weft_runtime *rt = weft_runtime_self();
	pthread_t thread;

	CHECK(rt != NULL);
	CHECK(pthread_create(&thread, NULL, submit_from_thread, rt) == 0);
	CHECK(yield_for(&ran, weft_test_scale(20000)));
	pthread_join(thread, NULL);
	return arg;
}

static void test_to_the_runtime_of_weft_run(void **state)
{
	(void)state;
	for (unsigned workers = 1; workers <= 2; workers++) {
		atomic_store_explicit(&ran, 0, memory_order_relaxed);
		assert_run(workers, hand_out_runtime, NULL);
	}
	assert_null(weft_runtime_self());
}

/* Options: the name, the stack, and the worker. Only a task of the runtime has a worker. */
static void *check_options(void *arg)
{
	const struct weft_task_options *opt = arg;

	CHECK(strcmp(weft_task_name(NULL), opt->name ? opt->name : "") == 0);
	if (opt->stack_size > 0)
		use_large_stack();
	for (int i = 0, id = weft_worker_id(); opt->pinned && i < 20; i++) {
		weft_yield();
		CHECK(weft_worker_id() == id);
	}
	return arg;
}

static struct weft_task_options named = {.name = "submitted"}, large = {.stack_size = 1 << 20},
				pinned = {.name = "pinned", .pinned = true}, none = {0},
				bad = {.stack_size = 1};

static int submit_and_join(weft_runtime *rt, const struct weft_task_options *opt,
			   struct weft_task_options *expected)
{
	void *result = NULL;
	weft_task *task;
	int rc = weft_submit_with(rt, opt, check_options, expected, &task);

	if (rc < 0)
		return rc;
	if (expected->name)
		CHECK(strcmp(weft_task_name(task), expected->name) == 0);
	CHECK(weft_join(task, &result) == 0);
	CHECK(result == expected);
	return 0;
}

static void *submit_with_options(void *arg)
{
	CHECK(submit_and_join(NULL, &named, &named) == 0);
	CHECK(submit_and_join(arg, &named, &named) == 0);
	CHECK(submit_and_join(arg, &large, &large) == 0);
	CHECK(submit_and_join(arg, NULL, &none) == 0);
	CHECK(submit_and_join(weft_runtime_self(), &pinned, &pinned) == 0);
	CHECK(submit_and_join(arg, &pinned, &pinned) == (arg == weft_runtime_self() ? 0 : -EINVAL));
	CHECK(submit_and_join(arg, &bad, &bad) == -EINVAL);
	return NULL;
}

static void test_options(void **state)
{
	weft_runtime *rt = assert_create(2);
	weft_task *task = (weft_task *)&token;

	(void)state;
	assert_int_equal(weft_submit(rt, submit_with_options, rt, &task), 0);
	assert_int_equal(weft_join(task, NULL), 0);
	assert_run(2, submit_with_options, rt); /* of another runtime */
	assert_int_equal(submit_and_join(rt, &named, &named), 0);
	assert_int_equal(submit_and_join(rt, &large, &large), 0);
	assert_int_equal(submit_and_join(rt, NULL, &none), 0);
	assert_int_equal(weft_submit_with(rt, &named, check_options, &named, NULL), 0);
	task = (weft_task *)&token;
	assert_int_equal(weft_submit_with(rt, &pinned, check_options, &pinned, &task), -EINVAL);
	assert_int_equal(weft_submit_with(rt, &bad, check_options, &bad, &task), -EINVAL);
	assert_int_equal(weft_submit_with(rt, &named, NULL, &named, &task), -EINVAL);
	assert_int_equal(weft_submit_with(NULL, &named, check_options, &named, &task), -EPERM);
	assert_ptr_equal(task, &token);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_from_many_threads),
		cmocka_unit_test(test_from_a_task_to_its_own_runtime),
		cmocka_unit_test(test_from_tasks_to_another_runtime),
		cmocka_unit_test(test_to_the_runtime_of_weft_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
