/* SPDX-License-Identifier: MIT */
/* Threads that end while what they began lives on elsewhere: tasks, a runtime, a coroutine. */
#include "work.h"

#include <weft/coro.h>

#define TASKS  weft_test_scale(200)
#define ROUNDS weft_test_scale(100)

struct handed {
	weft_runtime *rt;
	weft_task **tasks;
	flag go;
	_Atomic unsigned ran; /* relaxed: read after all have been joined */
};

static void *wait_and_count(void *arg)
{
	struct handed *handed = arg;

	CHECK(yield_for(&handed->go, 1));
	atomic_fetch_add_explicit(&handed->ran, 1, memory_order_relaxed);
	return arg;
}

/* Joins one, and leaves the others for later joiners. */
static void *submit_and_end(void *arg)
{
	struct handed *handed = arg;
	weft_task *task = NULL;

	CHECK(weft_submit(handed->rt, give_back, arg, &task) == 0);
	CHECK(weft_join(task, NULL) == 0);
	for (unsigned i = 0; i < TASKS; i++) {
		if (!CHECK(weft_submit(handed->rt, wait_and_count, handed, &handed->tasks[i]) == 0))
			abort();
	}
	/* It has also waited for one of them in vain. */
	CHECK(weft_join_until(handed->tasks[0], NULL, weft_after(1000)) == -ETIMEDOUT);
	return NULL;
}

static void *join_all(void *arg)
{
	struct handed *handed = arg;

	for (unsigned i = 0; i < TASKS; i++)
		CHECK(weft_join(handed->tasks[i], NULL) == 0);
	return NULL;
}

static void run_thread(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	if (!CHECK(pthread_create(&thread, NULL, fn, arg) == 0))
		abort();
	pthread_join(thread, NULL);
}

static void test_the_submitters_end_is_not_its_tasks_end(void **state)
{
	struct handed handed = {.rt = assert_create(3)};

	(void)state;
	handed.tasks = calloc(TASKS, sizeof *handed.tasks);
	assert_non_null(handed.tasks);
	run_thread(submit_and_end, &handed);
	raise_flag(&handed.go);
	run_thread(join_all, &handed);
	assert_int_equal(weft_runtime_destroy(handed.rt), 0);
	assert_int_equal(atomic_load_explicit(&handed.ran, memory_order_relaxed), TASKS);
	assert_int_equal(checks_failed(), 0);
	free(handed.tasks);
}

static void *create_runtime(void *arg)
{
	struct handed *handed = arg;
	struct weft_runtime_options options = {.workers = 2};

	CHECK(weft_runtime_create(&options, &handed->rt) == 0);
	return NULL;
}

static void *destroy_runtime(void *arg)
{
	struct handed *handed = arg;

	CHECK(weft_runtime_destroy(handed->rt) == 0);
	return NULL;
}

static void test_a_runtime_outlives_its_creator(void **state)
{
	struct handed handed = {.rt = NULL};

	(void)state;
	handed.tasks = calloc(TASKS, sizeof *handed.tasks);
	assert_non_null(handed.tasks);
	run_thread(create_runtime, &handed);
	run_thread(submit_and_end, &handed);
	raise_flag(&handed.go);
	join_all(&handed);
	run_thread(destroy_runtime, &handed);
	assert_int_equal(atomic_load_explicit(&handed.ran, memory_order_relaxed), TASKS);
	assert_int_equal(checks_failed(), 0);
	free(handed.tasks);
}

static void *run_and_end(void *arg)
{
	CHECK(weft_run(give_back, arg, NULL) == 0);
	return arg;
}

/* Each is worker 0 of a runtime of its own for a while. */
static void test_threads_that_were_workers_end(void **state)
{
	(void)state;
	set_number("WEFT_WORKERS", 2);
	for (unsigned i = 0; i < ROUNDS; i++)
		run_thread(run_and_end, NULL);
	unsetenv("WEFT_WORKERS");
	assert_int_equal(checks_failed(), 0);
}

static void *count_up(void *in)
{
	for (uintptr_t count = 1;; count++)
		in = weft_coro_yield((char *)in + count);
	return in;
}

static char base[1000];

static void *enter_once(void *co)
{
	static unsigned entered;
	void *out = NULL;

	CHECK(weft_coro_enter(co, base, &out) == 0);
	CHECK((char *)out - base == (ptrdiff_t)++entered);
	return NULL;
}

/* The first thread to enter the coroutine is gone. The coroutine has seen that thread's stack and
 * thread-local storage. */
static void test_a_coroutine_outlives_the_threads_it_ran_on(void **state)
{
	weft_coro *co = NULL;

	(void)state;
	assert_int_equal(weft_coro_create(count_up, 0, &co), 0);
	for (int i = 0; i < 10; i++)
		run_thread(enter_once, co);
	enter_once(co);
	weft_coro_destroy(co);
	assert_int_equal(checks_failed(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_submitters_end_is_not_its_tasks_end),
		cmocka_unit_test(test_a_runtime_outlives_its_creator),
		cmocka_unit_test(test_threads_that_were_workers_end),
		cmocka_unit_test(test_a_coroutine_outlives_the_threads_it_ran_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
