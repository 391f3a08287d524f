/* SPDX-License-Identifier: MIT */
/*
 * A worker that goes to sleep announces this, and then looks once more (idle.c). Work that became
 * visible just before the announcement has woken nobody, because the worker still counted as
 * searching.
 *
 *   pusher                          worker
 *                                   looks everywhere, finds nothing
 *   makes a task visible
 *   sees a searcher: wakes nobody
 *                                   announces its sleep, heavy fence
 *                                   must look once more
 *
 * That moment is a few dozen nanoseconds long. This test makes it certain. The heavy fence is a
 * system call, and this program replaces that call. There it puts the task into a queue, and tells
 * nobody. A worker that naps because it lacks a stack is caught in the system call of its nap.
 */
#include "harness.h"
#include "sched/core/due.h"
#include "sched/core/ready.h"
#include "sched/core/runtime.h"
#include "sched/core/sleepers.h"
#include "sched/core/tls.h"
#include "src/base/fence.h"

#include <dlfcn.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef long syscall_fn(long number, ...);

/* Called once, by the next worker of `rt` that has announced its sleep. */
static struct moment {
	weft_runtime *rt;
	void (*act)(struct moment *moment);
	weft_forked storage;
	struct task *task;
	struct worker *busy; /* computes; its queues are left to us */
	flag begun, acted, done;
	_Atomic bool naps;  /* the acting worker is about to nap; release by itself; acquire */
	_Atomic bool armed; /* release by the thread that sets all the rest; acquire */
} moment;

/* The task that is handed to the worker, as if by a plain thread. */
static weft_forked handed_storage;

/* Hands the task to the acting worker, unless another worker searches or was caught in its
 * moment. */
static void hand(struct moment *m)
{
	weft__inject_from_outside(m->rt, task_of_fork(&handed_storage));
}

static void at_heavy_fence(void)
{
	struct worker *w = weft__worker();
	bool armed = true;

	/* acquire: sees the rest of the moment */
	if (!w || !atomic_load_explicit(&moment.armed, memory_order_acquire) ||
	    w->rt != moment.rt || !is_listed(w))
		return;
	if (atomic_compare_exchange_strong_explicit(&moment.armed, &armed, false,
						    memory_order_acquire, memory_order_relaxed)) {
		moment.act(&moment);
		raise_flag(&moment.acted);
	}
}

static void at_nap(void)
{
	struct worker *w = weft__worker();

	/* acquire: sees the rest of the moment */
	if (w && atomic_load_explicit(&moment.naps, memory_order_acquire) && w->rt == moment.rt &&
	    w->duties.starving &&
	    atomic_exchange_explicit(&moment.naps, false, memory_order_relaxed))
		hand(&moment);
}

/*
 * Replaces the C library's function, for the library that is linked into this test. Not sanitized:
 * only the kernel knows how many arguments there are, so this passes on six, as the C library does.
 */
__attribute__((no_sanitize("address"))) long syscall(long number, ...)
{
	static _Atomic(void *) real; /* a function's address, in the form that dlsym() returns */
	void *symbol = atomic_load_explicit(&real, memory_order_relaxed);
	syscall_fn *call;
	va_list args;
	long a[6];

	if (!symbol) {
		symbol = dlsym(RTLD_NEXT, "syscall");
		atomic_store_explicit(&real, symbol, memory_order_relaxed);
	}
	memcpy(&call, &symbol, sizeof(call));
	va_start(args, number);
	for (unsigned i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (number == SYS_membarrier)
		at_heavy_fence();
	if (number == SYS_futex && (a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET && a[3] != 0)
		at_nap();
	return call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

static void *raise_done(void *arg)
{
	raise_flag(&((struct moment *)arg)->done);
	return NULL;
}

/* After the last touch of the task's end, everything is ours again. */
static void await_end(void)
{
	assert_true(spin_for(&moment.acted, 1));
	while (atomic_load_explicit(&moment.task->join, memory_order_acquire) != JOIN_DONE)
		sched_yield();
}

static void arm_with(void (*act)(struct moment *moment), weft_fn *fn)
{
	moment.act = act;
	moment.task = task_of_fork(&moment.storage);
	/* A fork, because nobody counts forks. */
	task_init(moment.task, moment.rt, fn, &moment, JOIN_NOBODY, TASK_FORK);
	atomic_store_explicit(&moment.acted, 0, memory_order_relaxed);
	atomic_store_explicit(&moment.done, 0, memory_order_relaxed);
	atomic_store_explicit(&moment.armed, true, memory_order_release);
}

static void arm(void (*act)(struct moment *moment))
{
	arm_with(act, raise_done);
}

/* Whether the fence is a system call. Otherwise the test has no such moment. */
static bool asymmetric(void)
{
	weft__fence_init();
	return atomic_load_explicit(&weft__fence_mode, memory_order_relaxed) ==
	       WEFT__FENCE_ASYMMETRIC;
}

static void inject(struct moment *m)
{
	weft__wfcq_enqueue(&m->rt->injection, &m->task->link);
}

static void *compute(void *arg)
{
	struct moment *m = arg;

	m->busy = weft__worker();
	raise_flag(&m->begun);
	CHECK(spin_for(&m->done, 1));
	return NULL;
}

static void push_to_deque(struct moment *m)
{
	CHECK(weft__deque_push(&m->busy->deque, m->task));
}

static void push_to_ring(struct moment *m)
{
	CHECK(weft__ring_push(&m->busy->ring, m->task, 0));
}

/* In each round the acting worker has run `before`, and runs fn. */
static void play_with(void (*act)(struct moment *moment), weft_fn *before, weft_fn *fn)
{
	if (!asymmetric())
		skip();
	moment.rt = assert_create(2);
	for (unsigned i = 0; i < weft_test_scale(200); i++) {
		weft_task *task;

		atomic_store_explicit(&moment.begun, 0, memory_order_relaxed);
		atomic_store_explicit(&moment.done, 0, memory_order_relaxed);
		assert_int_equal(weft_submit(moment.rt, compute, &moment, &task), 0);
		assert_true(spin_for(&moment.begun, 1));
		arm_with(act, fn);
		/* The other worker runs this, and then goes to sleep. */
		assert_int_equal(weft_submit(moment.rt, before, NULL, NULL), 0);
		assert_int_equal(weft_join(task, NULL), 0);
		assert_int_equal(checks_failed(), 0);
		await_end();
	}
	assert_int_equal(weft_runtime_destroy(moment.rt), 0);
}

static void play(void (*act)(struct moment *moment))
{
	play_with(act, give_back, raise_done);
}

static void test_what_was_injected_is_found(void **state)
{
	(void)state;
	play(inject);
}

static void test_what_another_worker_forked_is_found(void **state)
{
	(void)state;
	play(push_to_deque);
}

static void test_what_is_in_another_ring_is_found(void **state)
{
	(void)state;
	play(push_to_ring);
}

/*
 *   worker                              the other one
 *   runs a task that sleeps             computes
 *   finds nothing: announces its sleep
 *   finds a task in its last look
 *   runs it: it computes for long
 *
 * The worker has told nobody about the deadline, because it was about to keep it. Now it must tell.
 */
static flag awoken;

static void *sleep_a_moment(void *arg)
{
	/* relaxed: the deadline comes after */
	atomic_store_explicit(&awoken, 0, memory_order_relaxed);
	CHECK(weft_sleep(1000000) == 0);
	raise_flag(&awoken);
	return arg;
}

/* ThreadSanitizer does not see what orders the runtime's start and this look. */
static bool something_is_due(void)
{
	san_ignore_begin();
	bool due = is_due(weft__worker()->rt);
	san_ignore_end();
	return due;
}

/* Makes no pick, so the timekeeper must report that the deadline has passed. */
static void *compute_until_due(void *arg)
{
	int64_t lost = weft_after(LOST_NS);

	while (!something_is_due() && !is_raised(&awoken, 1) && CHECK(weft_now() < lost))
		sched_yield();
	return raise_done(arg);
}

static void test_who_finds_something_else_tells_of_its_deadline(void **state)
{
	(void)state;
	play_with(inject, sleep_a_moment, compute_until_due);
	play_with(push_to_ring, sleep_a_moment, compute_until_due);
}

static void *await_other(void *arg)
{
	CHECK(spin_for(&((struct moment *)arg)->done, 1));
	return NULL;
}

static void push_to_ring_and_hand(struct moment *m)
{
	push_to_ring(m);
	hand(m);
}

/* As if a stack had been refused. The worker naps then (starve.c). */
static void starve(struct moment *m)
{
	struct weft_runtime *rt = m->rt;

	weft__lock(&rt->starved_lock);
	m->task->link.opaque = NULL;
	*rt->starved_tail = m->task;
	rt->starved_tail = (struct task **)&m->task->link.opaque;
	atomic_fetch_add_explicit(&rt->starved_count, 1, memory_order_relaxed);
	weft__unlock(&rt->starved_lock);
	weft__worker()->duties.starving = true;
	atomic_store_explicit(&m->naps, true, memory_order_release);
}

/* Three workers. One is busy. One acts, and is handed a long task. The third one must be woken. */
static void play_with_hand(void (*act)(struct moment *moment))
{
	struct task *handed = task_of_fork(&handed_storage);

	if (!asymmetric())
		skip();
	moment.rt = assert_create(3);
	for (unsigned i = 0; i < weft_test_scale(200); i++) {
		weft_task *task;

		atomic_store_explicit(&moment.begun, 0, memory_order_relaxed);
		atomic_store_explicit(&moment.done, 0, memory_order_relaxed);
		assert_int_equal(weft_submit(moment.rt, compute, &moment, &task), 0);
		assert_true(spin_for(&moment.begun, 1));
		/* relaxed: only looked at */
		while (atomic_load_explicit(&moment.rt->idle, memory_order_relaxed) != 2 * SLEEPER)
			sched_yield();
		task_init(handed, moment.rt, await_other, &moment, JOIN_NOBODY, TASK_FORK);
		arm(act);
		assert_int_equal(weft_submit(moment.rt, give_back, NULL, NULL), 0);
		assert_int_equal(weft_join(task, NULL), 0);
		assert_int_equal(checks_failed(), 0);
		await_end();
		/* Another thread was faster than the nap. */
		if (atomic_exchange_explicit(&moment.naps, false, memory_order_relaxed))
			hand(&moment);
		while (atomic_load_explicit(&handed->join, memory_order_acquire) != JOIN_DONE)
			sched_yield();
	}
	assert_int_equal(weft_runtime_destroy(moment.rt), 0);
}

/*
 *   busy                 worker                           the third one
 *                                                         asleep
 *   makes a task visible
 *   sees a searcher:
 *   wakes nobody
 *                        announces its sleep
 *                        is handed a long task
 *                        must wake the third one
 */
static void test_who_is_handed_a_task_looks_again(void **state)
{
	(void)state;
	play_with_hand(push_to_ring_and_hand);
}

/*
 *   submitter                     worker                    the third one
 *                                                           asleep
 *                                 cannot start X: X waits
 *                                 for a stack
 *                                 naps
 *   hands it a long task that
 *   needs none
 *                                 must wake the third one,
 *                                 which has a stack for X
 */
static void test_who_is_handed_a_task_in_a_nap_looks_around(void **state)
{
	(void)state;
	play_with_hand(starve);
}

/* All stacks that are in use. */
static size_t stacks_in_use(void)
{
	struct stack_counts counts;

	weft__stack_counts(&counts);
	return counts.used;
}

/*
 *   worker                             somebody
 *   is about to sleep, but has to
 *   wait for the list's lock
 *                                      is refused a stack, says so, and
 *                                      tells those on the list: nobody
 *   must give back the one it keeps
 */
static void test_who_goes_to_sleep_learns_that_stacks_are_short(void **state)
{
	(void)state;
	weft_runtime *rt = assert_create(1);
	for (unsigned i = 0; i < weft_test_scale(50); i++) {
		weft_task *task;

		atomic_store_explicit(&moment.begun, 0, memory_order_relaxed);
		atomic_store_explicit(&moment.done, 0, memory_order_relaxed);
		assert_int_equal(weft_submit(rt, compute, &moment, &task), 0);
		assert_true(spin_for(&moment.begun, 1));
		weft__lock(&rt->idle_lock);
		raise_flag(&moment.done);
		/* relaxed, here and below: only looked at, and give_back() does the same */
		while (!(atomic_load_explicit(&rt->idle_lock.word, memory_order_relaxed) &
			 WEFT__LOCK_SLEEPERS))
			sched_yield();
		atomic_store_explicit(&rt->starving, 1, memory_order_relaxed);
		weft__unlock(&rt->idle_lock);
		assert_int_equal(weft_join(task, NULL), 0);
		int64_t lost = weft_after(LOST_NS);
		/* The runtime's reserve is never given back. */
		while (stacks_in_use() > 1 && weft_now() < lost)
			sched_yield();
		assert_int_equal(stacks_in_use(), 1);
		atomic_store_explicit(&rt->starving, 0, memory_order_relaxed);
	}
	assert_int_equal(weft_runtime_destroy(rt), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_injected_is_found),
		cmocka_unit_test(test_what_another_worker_forked_is_found),
		cmocka_unit_test(test_what_is_in_another_ring_is_found),
		cmocka_unit_test(test_who_finds_something_else_tells_of_its_deadline),
		cmocka_unit_test(test_who_is_handed_a_task_looks_again),
		cmocka_unit_test(test_who_is_handed_a_task_in_a_nap_looks_around),
		cmocka_unit_test(test_who_goes_to_sleep_learns_that_stacks_are_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
