/* SPDX-License-Identifier: MIT */
/*
 * A pool of threads for calls that block. Each runtime has one, made at the first call. A call is a
 * job, which lies in the frame of its task. Jobs wait in a queue, first in, first out.
 *
 * Threads. A caller that submits a job wakes an idle thread: the one that was busy last. So threads
 * that are not needed stay idle and end. If there are more jobs in the queue than threads that are
 * not busy, the caller starts a thread, up to the limit. So each job has a thread, or there are as
 * many threads as there may be. A thread stops being busy before it wakes the task, because that
 * task may come back at once. A thread ends only if it finds, under the lock, that nobody has
 * chosen it for a job. No job counts on it then.
 *
 * No thread. If a thread cannot be started, the job is left to the existing threads. A caller that
 * finds no threads at all carries out all jobs in the queue on its own stack, its own job first.
 * Nobody else would.
 *
 * Giving up. A job in the queue is still its task's: a deadline or a cancellation may end the wait.
 * So a thread takes a job and claims its waiter in one critical section, before it calls the
 * function. It wakes the task when the function has returned.
 *  (a) The claim succeeds. Neither the deadline nor a canceller can end the wait from then on.
 *  (b) The claim fails. The function is never called. The task takes its job out of the queue under
 *      the lock, if it is still in. No thread looks at its frame after that.
 *
 * Threads that end are joined by the next thread that ends. The runtime's end joins the last one.
 */
#include "blocking.h"
#include "sched/core/cancel.h"
#include "sched/core/tls.h"
#include "src/base/compiler.h"

#include "sched/core/runtime.h"
#include "sched/core/scope.h"
#include "sched/core/wait.h"
#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/fatal.h"
#include "src/base/futex.h"
#include "src/base/list.h"

#include <weft/blocking.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define LINGER_NS ((int64_t)10 * 1000 * 1000 * 1000)

int64_t weft__blocking_linger = LINGER_NS;

/* A call. Lies in the frame of the task that waits for it. It belongs to the queue, and then to the
 * thread that took it, until the wake. */
struct job {
	struct waiter waiter;
	struct weft__link link; /* under the pool's lock; in the queue until it is taken */
	struct wakeup wakeup;   /* of the thread that took it */
	weft_fn *fn;
	void *arg, *result;
	uint64_t edge; /* for ThreadSanitizer; only its address is used */
};

/* A thread of the pool. */
struct blocker {
	struct blocking_pool *pool; /* immutable */
	pthread_t thread;           /* stored before anyone can read it: see blocker_main() */
	struct blocker *next;       /* under the pool's lock: in the idle or the ended list */
	_Atomic uint32_t chosen;    /* 1: it is off the list of idle threads (futex) */
};

struct blocking_pool {
	struct attachment attachment;
	/* immutable */
	struct weft_runtime *rt;
	unsigned max;

	struct weft__lock lock;
	/* under lock */
	struct weft__list jobs; /* first come, first served */
	unsigned job_count;     /* in the queue */
	unsigned busy;          /* threads that run a job */
	struct blocker *idle;   /* last in first out */
	struct blocker *ended;  /* to be joined and freed */
	bool ending;
	bool full_told; /* stderr was told that all threads are busy */
	/* Includes threads that are being started. Stored under lock. The runtime's end waits for 0
	 * (futex). */
	_Atomic uint32_t threads;
};

static void add_job_locked(struct blocking_pool *pool, struct job *job)
{
	weft__list_push_last(&pool->jobs, &job->link);
	pool->job_count++;
}

/* Returns false if the job was no longer in the queue. */
static bool remove_job_locked(struct blocking_pool *pool, struct job *job)
{
	if (!weft__link_is_in_list(&job->link))
		return false;
	weft__list_remove(&job->link);
	pool->job_count--;
	return true;
}

/* Takes the next job, which is the caller's until it has woken the task. Returns NULL if there is
 * none. */
static struct job *take_job_locked(struct blocking_pool *pool)
{
	struct weft__link *link;

	while ((link = weft__list_first(&pool->jobs))) {
		struct job *job = container_of(link, struct job, link);

		remove_job_locked(pool, job);
		/* If the claim fails, the task has given the job up. The task sees that when it
		 * gets the lock. */
		if (weft__wait_claim(&job->waiter, &job->wakeup))
			return job;
	}
	return NULL;
}

/* Stays: the pool's thread runs no task, so the job's function cannot hop. */
static WEFT__STAYS void carry_out(struct job *job)
{
	san_acquire(&job->edge);
	job->result = job->fn(job->arg);
	san_release(&job->edge);
}

static void wake_caller(struct job *job)
{
	/* The job is gone after the wake. */
	weft__wait_wake(job->wakeup);
}

static unsigned thread_count(struct blocking_pool *pool)
{
	/* relaxed: stored under the lock, and most readers hold it. */
	return load_relaxed(&pool->threads);
}

static void set_thread_count_locked(struct blocking_pool *pool, unsigned count)
{
	/* release: for pool_end(). */
	store_release(&pool->threads, count);
}

/* Returns whether the caller must wake pool_end() after the unlock. */
static WEFT__MUST_USE bool count_off_locked(struct blocking_pool *pool)
{
	unsigned count = thread_count(pool) - 1;

	set_thread_count_locked(pool, count);
	return count == 0 && pool->ending;
}

/* Only the address of the count is used. */
static void wake_end(struct blocking_pool *pool)
{
	weft__futex_wake(&pool->threads, 1);
}

static void choose(struct blocker *b)
{
	/* release: pairs with the acquire in is_chosen(). From here on only the futex's address is
	 * used. */
	store_release(&b->chosen, 1);
	weft__futex_wake(&b->chosen, 1);
}

static bool is_chosen(struct blocker *b)
{
	return load_acquire(&b->chosen);
}

/*
 * Waits for a job. The caller holds the lock. Returns false if none has come for a long time, or if
 * the runtime ends.
 *
 * No wake is lost. A caller that takes the thread off the idle list stores `chosen`, and the kernel
 * sleeps only while `chosen` is 0. If the time is over and the thread is still on the list, nobody
 * has chosen it, and it takes itself off.
 */
static bool linger_locked(struct blocking_pool *pool, struct blocker *b)
{
	int64_t until = weft__clock_now() + weft__blocking_linger;

	if (pool->ending)
		return false;
	store_relaxed(&b->chosen, 0);
	b->next = pool->idle;
	pool->idle = b;
	weft__unlock(&pool->lock);
	while (!is_chosen(b) && weft__futex_wait(&b->chosen, 0, until) != -ETIMEDOUT)
		;
	weft__lock(&pool->lock);
	if (is_chosen(b))
		return true;
	for (struct blocker **link = &pool->idle; *link; link = &(*link)->next) {
		if (*link == b) {
			*link = b->next;
			return false;
		}
	}
	/* Somebody has taken this thread off the list and is about to say so. */
	weft__unlock(&pool->lock);
	while (!is_chosen(b))
		weft__futex_wait(&b->chosen, 0, WEFT_FOREVER);
	weft__lock(&pool->lock);
	return true;
}

static void join_ended(struct blocker *b)
{
	while (b) {
		struct blocker *next = b->next;
		san_ignore_begin();
		pthread_join(b->thread, NULL);
		free(b);
		san_ignore_end();
		b = next;
	}
}

static void *blocker_main(void *arg)
{
	struct blocker *b = arg;
	struct blocking_pool *pool = b->pool;
	struct job *job;

	weft__thread_traits_apply(&pool->rt->traits);
	pthread_setname_np(pthread_self(), "weft-blocking");
	weft__set_blocking_for(pool->rt);
	weft__lock(&pool->lock);
	b->thread = pthread_self(); /* a thread that joins us takes the lock after us */
	for (;;) {
		while ((job = take_job_locked(pool))) {
			pool->busy++;
			weft__unlock(&pool->lock);
			carry_out(job);
			weft__thread_scope_check();
			weft__lock(&pool->lock);
			pool->busy--;
			weft__unlock(&pool->lock);
			wake_caller(job);
			weft__lock(&pool->lock);
		}
		if (!linger_locked(pool, b))
			break;
	}
	struct blocker *ended = pool->ended;
	b->next = NULL;
	pool->ended = b;
	bool wakes = count_off_locked(pool);
	weft__unlock(&pool->lock);
	/* pool_end() joins this thread before it frees the pool. */
	if (wakes)
		wake_end(pool);
	join_ended(ended);
	return NULL;
}

static bool start_thread(struct blocking_pool *pool)
{
	struct blocker *b = weft__calloc(1, sizeof *b);
	pthread_t thread;

	if (!b)
		return false;
	b->pool = pool;
	int rc = weft__thread_start(&thread, blocker_main, b);
	if (rc < 0)
		free(b);
	return rc == 0;
}

static void pool_end(struct attachment *attachment)
{
	struct blocking_pool *pool = (struct blocking_pool *)attachment;
	uint32_t count;

	weft__lock(&pool->lock);
	pool->ending = true;
	struct blocker *idle = pool->idle;
	pool->idle = NULL;
	weft__unlock(&pool->lock);
	/* Each waits until it is chosen (linger_locked()). It may be gone after that. */
	for (struct blocker *b = idle, *next; b; b = next) {
		next = b->next;
		choose(b);
	}
	/* acquire: the last actions of the threads. No wake is lost: the count is stored before the
	 * wake. */
	while ((count = load_acquire(&pool->threads)) > 0)
		weft__futex_wait(&pool->threads, count, WEFT_FOREVER);
	/* each thread is past its last use of the lock once it is joined */
	weft__lock(&pool->lock);
	struct blocker *ended = pool->ended;
	weft__unlock(&pool->lock);
	join_ended(ended);
	free(pool);
}

/* The runtime's pool, which is made if there is none. Returns NULL if there is no memory. */
static struct blocking_pool *pool_of(struct weft_runtime *rt)
{
	_Atomic(struct attachment *) *place = &rt->attached[ATTACHED_BLOCKING];
	/* acquire: the pool, released below. */
	struct attachment *there = load_acquire(place);

	if (there)
		return (struct blocking_pool *)there;
	struct blocking_pool *pool = weft__calloc(1, sizeof *pool);
	if (!pool)
		return NULL;
	WEFT__SET_RANK(&pool->lock, BLOCKING);
	pool->attachment.end = pool_end;
	pool->rt = rt;
	pool->max = rt->config.blocking_threads;
	weft__list_init(&pool->jobs);
	if (cas_release_else_acquire(place, &there, &pool->attachment))
		return pool;
	free(pool);
	return (struct blocking_pool *)there;
}

/* Called when a thread could not be started. If there is no thread at all, carries out the jobs in
 * the queue. Returns whether `job` was done. */
static WEFT__MAY_HOP bool carry_out_here(struct blocking_pool *pool, struct job *job)
{
	struct job *other;

	weft__lock(&pool->lock);
	bool wakes = count_off_locked(pool);
	bool own = thread_count(pool) == 0 && remove_job_locked(pool, job);
	weft__unlock(&pool->lock);
	if (wakes)
		wake_end(pool);
	if (!own)
		return false;

	weft__wait_abandon(&job->waiter); /* the function itself may wait */
	job->result = job->fn(job->arg);
	for (;;) {
		weft__lock(&pool->lock);
		other = thread_count(pool) == 0 ? take_job_locked(pool) : NULL;
		weft__unlock(&pool->lock);
		if (!other)
			return true;
		carry_out(other);
		wake_caller(other);
	}
}

/* Counts a call that waits until a thread is free. */
static __attribute__((noinline, cold)) void note_full(struct blocking_pool *pool, bool tells)
{
	counter_add(&weft__worker()->counters.blocking_waits, 1);
	if (tells)
		weft__warn("all %u threads for weft_blocking() are busy: further calls wait until "
			   "one is free; WEFT_BLOCKING_THREADS allows more",
			   pool->max);
}

static WEFT__MAY_HOP int run_in_pool(struct blocking_pool *pool, weft_fn *fn, void *arg,
				     int64_t deadline, bool cancellable, void **ret_result)
{
	struct job job = {.fn = fn, .arg = arg};
	enum wait_outcome outcome = WAIT_WOKEN;
	struct blocker *idle;

	san_release(&job.edge);
	weft__wait_begin(&job.waiter, deadline == WEFT_FOREVER);
	weft__lock(&pool->lock);
	add_job_locked(pool, &job);
	idle = pool->idle;
	if (idle)
		pool->idle = idle->next;
	bool grow =
		pool->job_count > thread_count(pool) - pool->busy && thread_count(pool) < pool->max;
	if (grow)
		set_thread_count_locked(pool, thread_count(pool) + 1);
	bool full = !grow && pool->job_count > thread_count(pool) - pool->busy;
	bool tells = full && !pool->full_told;
	pool->full_told |= full;
	weft__unlock(&pool->lock);

	if (idle)
		choose(idle);
	if (full)
		note_full(pool, tells);
	bool done = grow && !start_thread(pool) && carry_out_here(pool, &job);
	if (!done)
		outcome = weft__wait(&job.waiter, deadline, cancellable);
	if (outcome != WAIT_WOKEN) {
		weft__lock(&pool->lock);
		remove_job_locked(pool, &job);
		weft__unlock(&pool->lock);
	}
	san_acquire(&job.edge);
	san_forget(&job.edge, sizeof job.edge);
	if (outcome == WAIT_WOKEN && ret_result)
		*ret_result = job.result;
	return wait_errno(outcome);
}

static WEFT__MAY_HOP int call(struct worker *w, weft_fn *fn, void *arg, int64_t deadline,
			      bool cancellable, void **ret_result)
{
	struct blocking_pool *pool = w ? pool_of(w->rt) : NULL;

	if (pool)
		return run_in_pool(pool, fn, arg, deadline, cancellable, ret_result);
	void *result = fn(arg);
	if (ret_result)
		*ret_result = result;
	return 0;
}

WEFT__MAY_HOP int weft_blocking(weft_fn *fn, void *arg, void **ret_result)
{
	return fn ? call(weft__worker(), fn, arg, WEFT_FOREVER, false, ret_result) : -EINVAL;
}

WEFT__MAY_HOP int weft_blocking_until(weft_fn *fn, void *arg, void **ret_result, int64_t deadline)
{
	struct worker *w = weft__worker();

	if (!fn)
		return -EINVAL;
	if (deadline <= 0)
		return -ETIMEDOUT;
	/* Checked before a thread can see the job, because a thread may be faster than the wait. */
	bool cancelled = weft__caller_cancelled();
	if (cancelled || (deadline != WEFT_FOREVER && deadline <= weft__clock_now())) {
		weft_yield(); /* like weft__wait() */
		return cancelled ? -ECANCELED : -ETIMEDOUT;
	}
	return call(w, fn, arg, deadline, true, ret_result);
}

unsigned weft__blocking_threads(struct weft_runtime *rt)
{
	/* acquire: the pool, released by pool_of(). */
	struct attachment *there = load_acquire(&rt->attached[ATTACHED_BLOCKING]);

	return there ? thread_count((struct blocking_pool *)there) : 0;
}
