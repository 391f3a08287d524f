/* SPDX-License-Identifier: MIT */
/*
 * Calls by threads that are not workers. The calls make the runtime end while they are still
 * inside. The linker wraps three functions of the library (meson.build), so each order is certain:
 *
 *   outsider                                worker 0, in weft_run()
 *   weft_cancel(): the request is visible
 *     weft__fence_heavy(): linger()         weft_cancelled() sees it
 *       until somebody waits                weft__pause(): the task waits for the canceller
 *     touches the task for the last time    returns, as the last task; the runtime ends
 *
 *   weft_detach() of a task that has ended
 *     weft__task_pool_return(): linger()    the last task returns
 *       until somebody waits                weft__pause(): the end waits for the visitor
 *     touches the pool for the last time    the runtime ends
 *
 * If nobody waits, weft_run() returns first, and linger() reports it.
 */
#include "harness.h"

#include "sched/core/task_pool.h"

#include <pthread.h>

static _Thread_local bool outside; /* this thread is the outsider, in its call */
static flag lingers;               /* the outsider is inside its call */
static flag awaited;               /* another thread waits for something meanwhile */
static flag returned;              /* weft_run() has returned */

/* The outsider stays here until the end waits for it, or has failed to wait. */
static void linger(void)
{
	if (!outside)
		return;
	raise_flag(&lingers);
	while (!is_raised(&awaited, 1) && !is_raised(&returned, 1))
		sched_yield();
	CHECK(!is_raised(&returned, 1));
}

void __real_weft__fence_heavy(void);
void __wrap_weft__fence_heavy(void);
void __wrap_weft__fence_heavy(void)
{
	linger();
	__real_weft__fence_heavy();
}

void __real_weft__task_pool_return(struct task_pool *pool, struct task *t);
void __wrap_weft__task_pool_return(struct task_pool *pool, struct task *t);
void __wrap_weft__task_pool_return(struct task_pool *pool, struct task *t)
{
	linger();
	__real_weft__task_pool_return(pool, t);
}

void __real_weft__pause(unsigned looks);
void __wrap_weft__pause(unsigned looks);
void __wrap_weft__pause(unsigned looks)
{
	if (is_raised(&lingers, 1))
		raise_flag(&awaited);
	__real_weft__pause(looks);
}

static _Atomic(weft_task *) handle;

static weft_task *await_handle(void)
{
	weft_task *task;

	/* acquire: sees the handle's task; pairs with publish() */
	while (!(task = atomic_load_explicit(&handle, memory_order_acquire)))
		sched_yield();
	outside = true;
	return task;
}

static void publish(weft_task *task)
{
	atomic_store_explicit(&handle, task, memory_order_release);
}

/* weft_run(fn) beside a thread that runs `call`. */
static void assert_end_waits(weft_fn *fn, void *(*call)(void *unused))
{
	pthread_t outsider;

	atomic_store(&handle, NULL);
	atomic_store(&lingers, 0);
	atomic_store(&awaited, 0);
	atomic_store(&returned, 0);
	assert_int_equal(pthread_create(&outsider, NULL, call, NULL), 0);
	set_number("WEFT_WORKERS", 1);
	assert_int_equal(weft_run(fn, NULL, NULL), 0);
	unsetenv("WEFT_WORKERS");
	raise_flag(&returned);
	assert_int_equal(pthread_join(outsider, NULL), 0);
	assert_true(is_raised(&lingers, 1));
	assert_int_equal(checks_failed(), 0);
}

static void *poll_for_the_cancellation(void *arg)
{
	while (!weft_cancelled())
		;
	return arg;
}

static void *spawn_poller(void *arg)
{
	weft_task *task;

	CHECK(weft_spawn(poll_for_the_cancellation, NULL, &task) == 0);
	publish(task);
	return arg;
}

static void *cancel_handle(void *unused)
{
	CHECK(weft_cancel(await_handle()) == 0);
	return unused;
}

/* A handle that is neither joined nor detached. Its end frees it with the runtime. */
static void test_a_cancelled_task_outlives_its_canceller(void **state)
{
	(void)state;
	assert_end_waits(spawn_poller, cancel_handle);
}

static void *spawn_and_join_poller(void *arg)
{
	weft_task *task, *next;

	CHECK(weft_spawn(poll_for_the_cancellation, NULL, &task) == 0);
	publish(task);
	CHECK(weft_join(task, NULL) == 0);
	/* The canceller has finished with the memory, which is the next task's. */
	CHECK(is_raised(&awaited, 1));
	CHECK(weft_spawn(give_back, NULL, &next) == 0);
	CHECK(weft_join(next, NULL) == 0);
	return arg;
}

static void test_a_join_waits_for_the_canceller(void **state)
{
	(void)state;
	assert_end_waits(spawn_and_join_poller, cancel_handle);
}

static flag ended;

static void *say_ended(void *arg)
{
	raise_flag(&ended);
	return arg;
}

static void *let_it_be_detached(void *arg)
{
	weft_task *task;

	CHECK(weft_spawn(say_ended, NULL, &task) == 0);
	CHECK(yield_for(&ended, 1));
	/* One worker: its function returned before we run again, so it has ended. */
	publish(task);
	CHECK(spin_for(&lingers, 1));
	return arg;
}

static void *detach_handle(void *unused)
{
	CHECK(weft_detach(await_handle()) == 0);
	return unused;
}

static void test_the_end_waits_for_a_visitor(void **state)
{
	(void)state;
	assert_end_waits(let_it_be_detached, detach_handle);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_cancelled_task_outlives_its_canceller),
		cmocka_unit_test(test_a_join_waits_for_the_canceller),
		cmocka_unit_test(test_the_end_waits_for_a_visitor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
