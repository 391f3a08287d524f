/* SPDX-License-Identifier: MIT */
/* Submitting: from plain threads, from tasks of this runtime and of another one. */
#include "harness.h"

#include <pthread.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_from_many_threads),
		cmocka_unit_test(test_from_a_task_to_its_own_runtime),
		cmocka_unit_test(test_from_tasks_to_another_runtime),
		cmocka_unit_test(test_to_the_runtime_of_weft_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
