/* SPDX-License-Identifier: MIT */
/* Blocking calls: on a thread of their own while the task waits and its worker goes on. */
#include "../core/harness.h"

#include "sched/blocking/blocking.h"

#include <weft/blocking.h>

#include <pthread.h>
#include <sys/resource.h>

#define TASKS 200

static int token;

struct call {
	pthread_t worker, ran_on;
	weft_task *self;
	flag entered, leave;
	int worker_id, error;
};

static void *look_around(void *arg)
{
	struct call *call = arg;

	call->ran_on = pthread_self();
	call->self = weft_self();
	call->worker_id = weft_worker_id();
	call->error = weft_spawn(give_back, NULL, NULL);
	return &token;
}

static void *call_once(void *arg)
{
	struct call call = {.worker = pthread_self(), .self = weft_self()};
	void *result = NULL;

	CHECK(weft_blocking(look_around, &call, &result) == 0);
	CHECK(result == &token);
	CHECK(!pthread_equal(call.ran_on, call.worker));
	CHECK(call.self == NULL && call.worker_id == -1 && call.error == -EPERM);
	CHECK(weft_self() != NULL && weft_worker_id() >= 0);
	CHECK(weft_blocking(look_around, &call, NULL) == 0);
	result = &call;
	CHECK(weft_blocking(NULL, &call, &result) == -EINVAL && result == &call);
	return arg;
}

static void test_runs_on_another_thread(void **state)
{
	struct call call = {0};
	void *result = NULL;

	(void)state;
	assert_run(1, call_once, NULL);
	assert_run(3, call_once, NULL);
	/* A plain thread runs it itself. */
	assert_int_equal(weft_blocking(look_around, &call, &result), 0);
	assert_ptr_equal(result, &token);
	assert_true(pthread_equal(call.ran_on, pthread_self()));
	assert_int_equal(weft_blocking(NULL, NULL, NULL), -EINVAL);
}

static void *destroy_other(void *arg)
{
	CHECK(weft_runtime_self() != arg);
	/* On any of its workers but worker 0 it would wait for ever. */
	if (weft_worker_id() == 0)
		CHECK(weft_runtime_destroy(arg) == -EDEADLK);
	return arg;
}

/* What the runtime's calls say in a blocking call. */
static void *submit_and_destroy(void *arg)
{
	weft_runtime *rt = weft_runtime_self();
	weft_task *task = NULL;
	void *result = NULL;
	struct weft_stats stats;

	CHECK(rt != NULL && rt == arg);
	CHECK(weft_runtime_workers(NULL) == weft_runtime_workers(rt));
	CHECK(weft_runtime_stats(NULL, &stats) == 0);
	CHECK(weft_submit(NULL, give_back, arg, &task) == 0);
	CHECK(weft_join(task, &result) == 0 && result == arg);
	CHECK(weft_runtime_destroy(rt) == -EDEADLK);
	/* Of another one this thread is a worker meanwhile, and belongs to that. */
	CHECK(weft_run(destroy_other, rt, NULL) == 0);
	CHECK(weft_runtime_self() == rt);
	return arg;
}

static void *call_into_runtime(void *arg)
{
	weft_runtime *rt = weft_runtime_self();

	CHECK(rt != NULL && (!arg || rt == arg));
	CHECK(weft_blocking(submit_and_destroy, rt, NULL) == 0);
	CHECK(weft_runtime_self() == rt);
	return arg;
}

static void test_belongs_to_the_runtime(void **state)
{
	weft_task *task;

	(void)state;
	assert_null(weft_runtime_self());
	assert_run(1, call_into_runtime, NULL);
	weft_runtime *rt = assert_create(2);
	assert_int_equal(weft_submit(rt, call_into_runtime, rt, &task), 0);
	assert_int_equal(weft_join(task, NULL), 0);
	assert_null(weft_runtime_self());
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

/* Blocks its thread until it is let go. */
static void *block(void *arg)
{
	struct call *call = arg;

	raise_flag(&call->entered);
	CHECK(spin_for(&call->leave, 1));
	return arg;
}

static void *call_block(void *arg)
{
	void *result = NULL;

	CHECK(weft_blocking(block, arg, &result) == 0);
	CHECK(result == arg);
	return arg;
}

/* On one worker: the others run while calls block, and all calls block at the same time. */
static void *block_many(void *arg)
{
	const unsigned many = 20;
	struct call call = {0};
	weft_task *tasks[20];

	for (unsigned i = 0; i < many; i++)
		CHECK(weft_spawn(call_block, &call, &tasks[i]) == 0);
	CHECK(yield_for(&call.entered, many));
	CHECK(weft_join_until(tasks[0], NULL, 0) == -ETIMEDOUT);
	raise_flag(&call.leave);
	for (unsigned i = 0; i < many; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	return arg;
}

static void test_worker_goes_on(void **state)
{
	(void)state;
	assert_run(1, block_many, NULL);
	assert_run(4, block_many, NULL);
}

/* No more than the limit at the same time; the others get their turn. */
static _Atomic unsigned inside, most, calls;

static void *note_crowd(void *arg)
{
	unsigned now = atomic_fetch_add_explicit(&inside, 1, memory_order_relaxed) + 1;
	unsigned seen = atomic_load_explicit(&most, memory_order_relaxed);

	while (now > seen && !atomic_compare_exchange_weak_explicit(
				     &most, &seen, now, memory_order_relaxed, memory_order_relaxed))
		;
	for (unsigned i = 0; i < 5; i++)
		sched_yield();
	atomic_fetch_sub_explicit(&inside, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
	return arg;
}

static void *call_often(void *arg)
{
	for (unsigned i = 0; i < 5; i++) {
		void *result = NULL;
		CHECK(weft_blocking(note_crowd, &i, &result) == 0 && result == &i);
	}
	return arg;
}

static void *call_in_a_crowd(void *arg)
{
	weft_task *tasks[TASKS];

	for (unsigned i = 0; i < TASKS; i++)
		CHECK(weft_spawn(call_often, NULL, &tasks[i]) == 0);
	for (unsigned i = 0; i < TASKS; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	return arg;
}

static void test_limit(void **state)
{
	(void)state;
	for (unsigned limit = 1; limit <= 4; limit += 3) {
		inside = most = calls = 0;
		set_number("WEFT_BLOCKING_THREADS", limit);
		assert_run(2, call_in_a_crowd, NULL);
		unsetenv("WEFT_BLOCKING_THREADS");
		assert_int_equal(calls, TASKS * 5);
		assert_in_range(most, 1, limit);
	}
}

/* One after the other one thread does them all; idle threads end, and new ones are started. */
static void *grow_and_shrink(void *arg)
{
	weft_runtime *rt = arg;
	int64_t lost = weft_after(LOST_NS);

	for (unsigned round = 0; round < 3; round++) {
		CHECK(weft_blocking(give_back, NULL, NULL) == 0);
		block_many(NULL);
		while (weft__blocking_threads(rt) > 0 && weft_now() < lost)
			weft_sleep(100 * 1000);
		CHECK(weft__blocking_threads(rt) == 0);
	}
	return NULL;
}

static void test_grows_and_shrinks(void **state)
{
	int64_t linger = weft__blocking_linger;
	weft_runtime *rt = assert_create(2);
	weft_task *task;

	(void)state;
	weft__blocking_linger = 200 * 1000;
	assert_int_equal(weft__blocking_threads(rt), 0);
	assert_int_equal(weft_submit(rt, grow_and_shrink, rt, &task), 0);
	assert_int_equal(weft_join(task, NULL), 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
	/* Threads end at any moment of a call's: none is lost. */
	weft__blocking_linger = 0;
	inside = most = calls = 0;
	assert_run(2, call_in_a_crowd, NULL);
	assert_int_equal(calls, TASKS * 5);
	weft__blocking_linger = linger;
}

static void *reuse_one_thread(void *arg)
{
	struct call first = {0}, call = {0};

	CHECK(weft_blocking(look_around, &first, NULL) == 0);
	for (unsigned i = 0; i < weft_test_scale(3000); i++) {
		CHECK(weft_blocking(look_around, &call, NULL) == 0);
		CHECK(pthread_equal(call.ran_on, first.ran_on));
		CHECK(weft__blocking_threads(arg) == 1);
	}
	return NULL;
}

static void test_threads_are_reused(void **state)
{
	weft_runtime *rt = assert_create(1);
	weft_task *task;

	(void)state;
	assert_int_equal(weft_submit(rt, reuse_one_thread, rt, &task), 0);
	assert_int_equal(weft_join(task, NULL), 0);
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

/* It is not a cancellation point. */
static void *be_cancelled(void *arg)
{
	struct call call = {0};
	weft_task *task;

	CHECK(weft_spawn(call_block, &call, &task) == 0);
	CHECK(yield_for(&call.entered, 1));
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join_until(task, NULL, weft_after(100 * 1000)) == -ETIMEDOUT);
	raise_flag(&call.leave);
	CHECK(weft_join(task, NULL) == 0);

	CHECK(weft_cancel(weft_self()) == 0);
	void *result = NULL;
	CHECK(weft_blocking(give_back, &call, &result) == 0 && result == &call);
	return arg;
}

static void test_cancel(void **state)
{
	(void)state;
	assert_run(1, be_cancelled, NULL);
	assert_run(2, be_cancelled, NULL);
}

/* weft_blocking_until(), while one call has the only thread. */
struct queued {
	int64_t deadline;
	flag ran, called;
	int rc;
	bool masked;
};

static void *note_run(void *arg)
{
	struct queued *q = arg;

	raise_flag(&q->ran);
	return &token;
}

static void *call_queued(void *arg)
{
	struct queued *q = arg;
	void *result = q;

	if (q->masked)
		weft_cancel_mask();
	raise_flag(&q->called);
	q->rc = weft_blocking_until(note_run, q, &result, q->deadline);
	CHECK(result == (q->rc == 0 ? (void *)&token : q));
	return NULL;
}

static weft_task *spawn_queued(struct queued *q, int64_t deadline)
{
	weft_task *task = NULL;

	*q = (struct queued){.deadline = deadline, .masked = q->masked};
	CHECK(weft_spawn(call_queued, q, &task) == 0);
	CHECK(yield_for(&q->called, 1));
	return task;
}

static void *queue_behind_one(void *arg)
{
	enum { SOON, CANCELLED, MASKED, LATER, EVER, COUNT };
	struct queued q[COUNT] = {[MASKED].masked = true};
	struct call call = {0};
	weft_task *blocked, *tasks[COUNT];

	CHECK(weft_spawn(call_block, &call, &blocked) == 0);
	CHECK(yield_for(&call.entered, 1));
	tasks[SOON] = spawn_queued(&q[SOON], weft_after(1000 * 1000));
	for (unsigned i = CANCELLED; i < LATER; i++)
		tasks[i] = spawn_queued(&q[i], i % 2 ? WEFT_FOREVER : weft_after(LOST_NS));
	tasks[LATER] = spawn_queued(&q[LATER], weft_after(LOST_NS));
	tasks[EVER] = spawn_queued(&q[EVER], WEFT_FOREVER);
	CHECK(weft_cancel(tasks[CANCELLED]) == 0);
	CHECK(weft_cancel(tasks[MASKED]) == 0);
	CHECK(weft_join(tasks[CANCELLED], NULL) == 0 && q[CANCELLED].rc == -ECANCELED);
	CHECK(weft_join(tasks[SOON], NULL) == 0 && q[SOON].rc == -ETIMEDOUT);
	raise_flag(&call.leave);
	CHECK(weft_join(blocked, NULL) == 0);
	for (unsigned i = MASKED; i < COUNT; i++)
		CHECK(weft_join(tasks[i], NULL) == 0 && q[i].rc == 0 && is_raised(&q[i].ran, 1));
	CHECK(!is_raised(&q[SOON].ran, 1) && !is_raised(&q[CANCELLED].ran, 1));
	return arg;
}

struct late {
	struct call call;
	int64_t deadline;
};

/* Blocks its thread at least until the deadline has passed. */
static void *block_past_deadline(void *arg)
{
	struct late *late = arg;

	while (weft_now() <= late->deadline)
		sched_yield();
	return block(&late->call);
}

static void *call_past_deadline(void *arg)
{
	struct late *late = arg;
	int64_t ns = 1000 * 1000;
	void *result = NULL;
	int rc;

	/* Until it starts before the deadline. */
	do {
		late->deadline = weft_after(ns *= 2);
		rc = weft_blocking_until(block_past_deadline, late, &result, late->deadline);
	} while (rc == -ETIMEDOUT);
	CHECK(rc == 0 && result == &late->call);
	return arg;
}

/* What runs is ended by neither. */
static void *cancel_what_runs(void *arg)
{
	struct late late = {0};
	weft_task *task;

	CHECK(weft_spawn(call_past_deadline, &late, &task) == 0);
	CHECK(yield_for(&late.call.entered, 1));
	CHECK(weft_cancel(task) == 0);
	CHECK(weft_join_until(task, NULL, weft_after(300 * 1000)) == -ETIMEDOUT);
	raise_flag(&late.call.leave);
	CHECK(weft_join(task, NULL) == 0);
	return arg;
}

/* Neither runs, though there is an idle thread. */
static void *call_too_late(void *arg)
{
	struct queued q = {0};
	void *result = &q;

	CHECK(weft_blocking(give_back, NULL, NULL) == 0);
	for (unsigned i = 0; i < 100; i++) {
		CHECK(weft_blocking_until(note_run, &q, &result, weft_now()) == -ETIMEDOUT);
		CHECK(weft_blocking_until(note_run, &q, &result, 0) == -ETIMEDOUT);
	}
	CHECK(weft_blocking_until(NULL, &q, &result, WEFT_FOREVER) == -EINVAL);
	CHECK(weft_cancel(weft_self()) == 0);
	for (unsigned i = 0; i < 100; i++) {
		CHECK(weft_blocking_until(note_run, &q, &result, i % 2 ? WEFT_FOREVER : 1) ==
		      -ECANCELED);
		CHECK(weft_blocking_until(note_run, &q, &result, 0) == -ETIMEDOUT);
	}
	CHECK(result == &q && !is_raised(&q.ran, 1));
	weft_cancel_mask();
	CHECK(weft_blocking_until(note_run, &q, &result, WEFT_FOREVER) == 0);
	CHECK(result == &token && is_raised(&q.ran, 1));
	weft_cancel_unmask();
	return arg;
}

static void test_until(void **state)
{
	struct queued q = {0};
	void *result = NULL;

	(void)state;
	set_number("WEFT_BLOCKING_THREADS", 1);
	for (unsigned workers = 1; workers <= 2; workers++) {
		assert_run(workers, queue_behind_one, NULL);
		assert_run(workers, cancel_what_runs, NULL);
		assert_run(workers, call_too_late, NULL);
	}
	unsetenv("WEFT_BLOCKING_THREADS");
	assert_int_equal(weft_blocking_until(note_run, &q, &result, 0), -ETIMEDOUT);
	assert_null(result);
	assert_false(is_raised(&q.ran, 1));
	assert_int_equal(weft_blocking_until(note_run, &q, &result, WEFT_FOREVER), 0);
	assert_ptr_equal(result, &token);
}

/* Calls that are cancelled or time out at the moment at which a thread takes them: each runs or
 * says that it has not. */
static void *race_for_turns(void *arg)
{
	struct queued q[20];
	weft_task *tasks[20];

	for (unsigned round = 0; round < weft_test_scale(300); round++) {
		for (unsigned i = 0; i < 20; i++) {
			int64_t soon = weft_after(i * 1000);

			q[i].masked = false;
			tasks[i] = spawn_queued(&q[i], i % 3 ? WEFT_FOREVER : soon);
		}
		for (unsigned i = 0; i < 20; i += 2)
			CHECK(weft_cancel(tasks[i]) == 0);
		for (unsigned i = 0; i < 20; i++) {
			CHECK(weft_join(tasks[i], NULL) == 0);
			CHECK(is_raised(&q[i].ran, 1) == (q[i].rc == 0));
			CHECK(i % 2 == 0 || i % 3 == 0 || q[i].rc == 0);
		}
	}
	return arg;
}

static void test_until_races(void **state)
{
	(void)state;
	set_number("WEFT_BLOCKING_THREADS", 2);
	assert_run(1, race_for_turns, NULL);
	assert_run(3, race_for_turns, NULL);
	unsetenv("WEFT_BLOCKING_THREADS");
}

/* In a child that may start no more threads than there are. */
static void *call_without_threads(void *arg)
{
	struct call call = {.worker = pthread_self()};
	void *result = NULL;
	const struct rlimit none = {0};

	/* Not even root may: the limit counts for it too once it is somebody else. */
	if (setuid(65534) != 0 || setrlimit(RLIMIT_NPROC, &none) != 0)
		exit(77);
	if (weft_blocking(look_around, &call, &result) != 0 || result != &token)
		exit(1);
	if (!pthread_equal(call.ran_on, call.worker))
		exit(2);
	/* It runs as part of the task, which may wait in it. */
	if (!call.self || call.error != 0)
		exit(3);
	call_in_a_crowd(NULL);
	if (calls != TASKS * 5 || checks_failed())
		exit(4);
	return arg;
}

static void run_without_threads(void *arg)
{
	set_number("WEFT_WORKERS", 1);
	inside = most = calls = 0;
	child_needs(weft_run(call_without_threads, arg, NULL));
}

static void test_no_thread_can_be_started(void **state)
{
	struct child child;

	(void)state;
	if (CHILD_TSAN || CHILD_ASAN) /* they start threads of their own in the child */
		skip();
	child_run(&child, run_without_threads, NULL);
	if (!child_exited_with(&child, 0) && child_exited_with(&child, 77))
		skip();
	assert_true(child_exited_with(&child, 0));
}

#define FULL 2

static flag gate_is_open;

static void *block_at_the_gate(void *arg)
{
	CHECK(spin_for(&gate_is_open, 1));
	return arg;
}

static void *call_at_the_gate(void *arg)
{
	CHECK(weft_blocking(block_at_the_gate, NULL, NULL) == 0);
	return arg;
}

/* The pool is full, and three calls wait. A later call finds a free thread. */
static void *fill_the_pool(void *arg)
{
	struct weft_stats stats;
	weft_group group;

	weft_group_init(&group);
	for (unsigned i = 0; i < FULL + 3; i++)
		CHECK(weft_group_spawn(&group, call_at_the_gate, NULL) == 0);
	int64_t lost = weft_after(LOST_NS);
	do {
		weft_yield();
		CHECK(weft_runtime_stats(NULL, &stats) == 0);
	} while (stats.blocking_waits < 3 && weft_now() < lost);
	raise_flag(&gate_is_open);
	CHECK(weft_group_wait(&group) == 0);
	CHECK(weft_blocking(give_back, NULL, NULL) == 0);
	CHECK(weft_runtime_stats(NULL, &stats) == 0 && stats.blocking_waits == 3);
	weft_group_fini(&group);
	return arg;
}

static void run_full(void *arg)
{
	(void)arg;
	set_number("WEFT_BLOCKING_THREADS", FULL);
	set_number("WEFT_WORKERS", 2);
	exit(weft_run(fill_the_pool, NULL, NULL) == 0 && checks_failed() == 0 ? 0 : 1);
}

static void test_a_full_pool_says_so_once(void **state)
{
	struct child child;

	(void)state;
	child_run(&child, run_full, NULL);
	assert_true(child_exited_with(&child, 0));
	assert_int_equal(child_lines(&child), 1);
	assert_non_null(strstr(child.said, "all 2 threads"));
	assert_non_null(strstr(child.said, "WEFT_BLOCKING_THREADS"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: ThreadSanitizer lets no child of a process that had threads start any. */
		cmocka_unit_test(test_a_full_pool_says_so_once),
		cmocka_unit_test(test_runs_on_another_thread),
		cmocka_unit_test(test_belongs_to_the_runtime),
		cmocka_unit_test(test_worker_goes_on),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_grows_and_shrinks),
		cmocka_unit_test(test_threads_are_reused),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_until),
		cmocka_unit_test(test_until_races),
		cmocka_unit_test(test_no_thread_can_be_started),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
