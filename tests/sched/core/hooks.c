/* SPDX-License-Identifier: MIT */
/*
 * The hooks of a runtime. Each worker's thread calls them in this order, whatever workers come and
 * go:
 *
 *   (start (sleep wake)* stop)*
 *
 * Tasks run only while the worker is between start and stop, and not asleep.
 */
#include "harness.h"

#include <pthread.h>
#include <string.h>

#define WORKERS 6

enum state { DOWN, UP, ASLEEP };

/* All atomics relaxed: each belongs to one worker, or a loop waits for it. */
static struct {
	_Atomic int state;
	pthread_t thread;
} workers[WORKERS];
static _Atomic unsigned starts, stops, sleeps, wakes;

#define GET(variable)        atomic_load_explicit(&(variable), memory_order_relaxed)
#define SET(variable, value) atomic_store_explicit(&(variable), value, memory_order_relaxed)
#define COUNT(variable)      atomic_fetch_add_explicit(&(variable), 1, memory_order_relaxed)

static int tag;

static bool step(int worker, void *arg, enum state from, enum state to)
{
	CHECK(arg == &tag && worker >= 0 && worker < WORKERS);
	CHECK(weft_worker_id() == -1 && !weft_self() && weft_task_number(NULL) == 0);
	CHECK(weft_runtime_self() && weft_runtime_workers(NULL) <= WORKERS);
	CHECK(GET(workers[worker].state) == (int)from);
	if (from != DOWN)
		CHECK(pthread_equal(workers[worker].thread, pthread_self()));
	SET(workers[worker].state, to);
	errno = 77;
	return true;
}

static void on_start(int worker, void *arg)
{
	workers[worker].thread = pthread_self();
	step(worker, arg, DOWN, UP);
	COUNT(starts);
}

static void on_stop(int worker, void *arg)
{
	step(worker, arg, UP, DOWN);
	COUNT(stops);
}

static void on_sleep(int worker, void *arg)
{
	step(worker, arg, UP, ASLEEP);
	COUNT(sleeps);
}

static void on_wake(int worker, void *arg)
{
	step(worker, arg, ASLEEP, UP);
	COUNT(wakes);
}

static const struct weft_runtime_options hooked = {
	.worker_start = on_start,
	.worker_stop = on_stop,
	.worker_sleep = on_sleep,
	.worker_wake = on_wake,
	.worker_arg = &tag,
};

static struct weft_runtime_options hooked_with(unsigned count)
{
	struct weft_runtime_options options = hooked;

	options.workers = count;
	return options;
}

static void forget(void)
{
	SET(starts, 0);
	SET(stops, 0);
	SET(sleeps, 0);
	SET(wakes, 0);
}

/* Called after the end of all runtimes. */
static void assert_all_is_over(unsigned least)
{
	assert_int_equal(checks_failed(), 0);
	assert_true(GET(starts) >= least);
	assert_int_equal(GET(starts), GET(stops));
	assert_int_equal(GET(sleeps), GET(wakes));
	for (int i = 0; i < WORKERS; i++) {
		assert_int_equal(GET(workers[i].state), DOWN);
		workers[i].thread = pthread_self(); /* belongs to this worker alone by now */
	}
	forget();
}

static void here(void)
{
	CHECK(GET(workers[weft_worker_id()].state) == UP);
	CHECK(pthread_equal(workers[weft_worker_id()].thread, pthread_self()));
}

static void *come_and_go(void *arg)
{
	here();
	for (unsigned i = 0; i < 5; i++) {
		weft_yield();
		here();
		CHECK(weft_sleep(1000 * i) == 0);
		here();
	}
	return arg;
}

static void *do_things(void *arg)
{
	weft_task *tasks[20];

	for (unsigned i = 0; i < 20; i++)
		CHECK(weft_spawn(come_and_go, NULL, &tasks[i]) == 0);
	for (unsigned i = 0; i < 20; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	here();
	return arg;
}

static void test_hooks_of_weft_run(void **state)
{
	(void)state;
	for (unsigned count = 1; count <= 4; count++) {
		struct weft_runtime_options options = hooked_with(count);

		errno = 55;
		assert_int_equal(weft_run_with(&options, do_things, NULL, NULL), 0);
		assert_int_equal(errno, 55);
		assert_true(pthread_equal(workers[0].thread, pthread_self()));
		assert_int_equal(GET(starts), count);
		assert_all_is_over(count);
	}
}

static void test_hooks_under_chaos(void **state)
{
	static const char *const chaos[] = {"1", "2", "3,hop", "4,virtual"};

	(void)state;
	for (unsigned i = 0; i < sizeof(chaos) / sizeof(chaos[0]); i++) {
		struct weft_runtime_options options = hooked_with(i == 3 ? 1 : 3);

		setenv("WEFT_CHAOS", chaos[i], 1);
		assert_int_equal(weft_run_with(&options, do_things, NULL, NULL), 0);
		unsetenv("WEFT_CHAOS");
		assert_all_is_over(1);
	}
}

static bool all_sleep(int count)
{
	for (int i = 0; i < count; i++) {
		if (GET(workers[i].state) != ASLEEP)
			return false;
	}
	return true;
}

static void await_sleep(int count)
{
	int64_t lost = weft_after(LOST_NS);

	while (!all_sleep(count) && weft_now() < lost)
		sched_yield();
	assert_true(all_sleep(count));
}

static void test_idle_workers_have_said_that_they_sleep(void **state)
{
	struct weft_runtime_options options = hooked_with(3);
	weft_runtime *rt;

	(void)state;
	assert_int_equal(weft_runtime_create(&options, &rt), 0);
	for (unsigned i = 0; i < 5; i++) {
		weft_task *task;

		await_sleep(3);
		assert_int_equal(weft_submit(rt, do_things, NULL, &task), 0);
		assert_int_equal(weft_join(task, NULL), 0);
	}
	await_sleep(3);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(GET(starts), 3);
	assert_all_is_over(3);
}

static void test_workers_that_are_added_and_removed(void **state)
{
	struct weft_runtime_options options = hooked_with(2);
	weft_runtime *rt;

	(void)state;
	assert_int_equal(weft_runtime_create(&options, &rt), 0);
	for (unsigned i = 0; i < weft_test_scale(20); i++) {
		weft_task *task;

		assert_int_equal(weft_runtime_set_workers(rt, WORKERS - i % WORKERS), 0);
		assert_int_equal(weft_submit(rt, come_and_go, NULL, &task), 0);
		assert_int_equal(weft_join(task, NULL), 0);
	}
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_all_is_over(WORKERS);
}

static void test_a_program_that_does_not_know_of_hooks_has_none(void **state)
{
	struct weft_runtime_options options = hooked_with(2);
	weft_runtime *rt;

	(void)state;
	/* As large as it was before the hooks existed. */
	assert_int_equal(
		weft_runtime_create_sized(&options,
					  offsetof(struct weft_runtime_options, worker_start), &rt),
		0);
	assert_int_equal(weft_submit(rt, give_back, NULL, NULL), 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(GET(starts), 0);
	assert_all_is_over(0);
}

static void *count_here(void *arg)
{
	COUNT(*(_Atomic unsigned *)arg);
	return NULL;
}

static void *block_a_while(void *arg)
{
	void *result;

	for (unsigned i = 0; i < 4; i++)
		CHECK(weft_blocking(give_back, arg, &result) == 0 && result == arg);
	return arg;
}

static void test_threads_of_blocking_calls_have_none(void **state)
{
	struct weft_runtime_options options = hooked_with(2);

	(void)state;
	assert_int_equal(weft_run_with(&options, block_a_while, NULL, NULL), 0);
	assert_int_equal(GET(starts), 2);
	assert_all_is_over(2);
}

/* --- what a hook may call --- */

struct calls {
	weft_mutex mutex;
	weft_sem sem;
	_Atomic unsigned ran, submitted;
	unsigned limit;
};

/* Goes to the worker that is about to sleep, if there is no other. */
static void submit_one(int worker, void *arg)
{
	struct calls *c = arg;

	(void)worker;
	weft_mutex_lock(&c->mutex);
	if (GET(c->submitted) < c->limit) {
		COUNT(c->submitted);
		CHECK(weft_submit(weft_runtime_self(), count_here, &c->ran, NULL) == 0);
	}
	weft_mutex_unlock(&c->mutex);
	weft_sem_release(&c->sem, 1);
	CHECK(weft_sem_acquire(&c->sem) == 0);
	CHECK(weft_sleep(100) == 0);
	weft_yield();
	CHECK(weft_runtime_destroy(weft_runtime_self()) == -EDEADLK);
}

static void *count_up(void *arg)
{
	*(unsigned *)arg += 1;
	return arg;
}

static void start_one(int worker, void *arg)
{
	unsigned forked = 0;
	weft_coro *co;
	void *out;

	submit_one(worker, arg);
	weft_forked fork;
	weft_fork(&fork, count_up, &forked);
	CHECK(weft_fork_join(&fork) == &forked && forked == 1);
	if (CHECK(weft_coro_create(give_back, 0, &co) == 0)) {
		CHECK(weft_coro_enter(co, arg, &out) == 0 && out == arg);
		weft_coro_destroy(co);
	}
}

static void call_from_hooks(unsigned count, bool chaos)
{
	struct calls c = {.mutex = WEFT_MUTEX_INIT, .sem = WEFT_SEM_INIT(0), .limit = 100};
	struct weft_runtime_options options = {
		.workers = count,
		.worker_start = start_one,
		.worker_sleep = submit_one,
		.worker_wake = submit_one,
		.worker_arg = &c,
	};
	int64_t lost = weft_after(LOST_NS);
	weft_runtime *rt;

	if (chaos)
		setenv("WEFT_CHAOS", "7", 1);
	assert_int_equal(weft_runtime_create(&options, &rt), 0);
	unsetenv("WEFT_CHAOS");
	while (GET(c.ran) < c.limit && weft_now() < lost)
		sched_yield();
	assert_int_equal(GET(c.ran), c.limit);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

static void test_hooks_may_call_what_a_thread_may(void **state)
{
	(void)state;
	call_from_hooks(1, false);
	call_from_hooks(3, false);
	call_from_hooks(2, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hooks_of_weft_run),
		cmocka_unit_test(test_hooks_under_chaos),
		cmocka_unit_test(test_idle_workers_have_said_that_they_sleep),
		cmocka_unit_test(test_workers_that_are_added_and_removed),
		cmocka_unit_test(test_a_program_that_does_not_know_of_hooks_has_none),
		cmocka_unit_test(test_threads_of_blocking_calls_have_none),
		cmocka_unit_test(test_hooks_may_call_what_a_thread_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
