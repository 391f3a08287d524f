/* SPDX-License-Identifier: MIT */
/*
 * Joining. struct task.join is a queue of one, without a lock:
 *
 *   NOBODY → DONE              the task ends, nobody waits
 *   NOBODY → waiter            the joiner waits
 *   waiter → NOBODY            the joiner gives up: deadline or cancel
 *   waiter → DONE              the task ends: before, its end claims the waiter
 *   NOBODY → DETACHED          its end will free it
 *
 * The end looks at the waiter while nobody holds a lock, so a joiner that gives up must not leave
 * the waiter's frame meanwhile. That happens rarely, so it pays:
 *
 *   the task's end                         a joiner that gives up
 *     store ending = true                    compare-and-swap join: waiter → NOBODY
 *     light fence                            heavy fence
 *     load join                              load ending
 *     a waiter: claim it, store DONE         false: nobody looks at the waiter
 *     NOBODY: compare-and-swap to DONE       true: wait for DONE
 *
 * Store-load race: at least one sees the other. If the end has found the waiter, the joiner finds
 * `ending`, and has the result after all when DONE comes, so it may also do so where the end has
 * not found it. Where the joiner does not find `ending`, the end finds NOBODY, or what the handle's
 * owner makes of it then: another waiter, or DETACHED. The end's store of DONE overwrites the
 * waiter or the NOBODY of a joiner that waits for it, nothing else. (Rejected: a state BUSY, that
 * the end puts in the waiter's place, a compare-and-swap for each end that is waited for.)
 *
 * A task that its joiner finds at the bottom of its own deque is what its worker would run next
 * unless something was woken. It is switched to without a detour over queues; nobody else knows it,
 * so the joiner registers by a store.
 */
#include "identity.h"
#include "runtime.h"
#include "sched/os/clock.h"
#include "sched/os/pause.h"
#include "scope.h"
#include "src/fatal.h"
#include "wait.h"

#include <weft/task.h>

#include <errno.h>

static void await_done(struct task *t)
{
	/* acquire: the result, released by end_task(). */
	for (unsigned looks = 0; atomic_load_explicit(&t->join, memory_order_acquire) != JOIN_DONE;
	     looks++)
		weft__pause(looks);
}

/* Takes back the waiter, whose wait has ended without a wake. false: t has ended after all. */
static bool give_up(struct task *t, struct waiter *waiter)
{
	uintptr_t join = (uintptr_t)waiter;

	/* relaxed: nothing was published to us. */
	if (atomic_compare_exchange_strong_explicit(&t->join, &join, JOIN_NOBODY,
						    memory_order_relaxed, memory_order_relaxed)) {
		weft__fence_heavy(); /* store-load race with end_task(): see above */
		if (!atomic_load_explicit(&t->ending, memory_order_relaxed))
			return true;
	}
	await_done(t);
	return false;
}

static _Noreturn __attribute__((cold)) void handle_misuse(struct task *t, const char *call,
							  const char *is)
{
	char task[WEFT__TASK_TEXT];

	weft__describe_task(t, task);
	weft__fatal("%s: %s is %s", call, task, is);
}

/* Waits for the end of t. 0, or why it gave up. */
static int wait_for_end(struct task *t, int64_t deadline)
{
	struct waiter waiter;
	uintptr_t join = JOIN_NOBODY;

	weft__wait_begin(&waiter, deadline == WEFT_FOREVER);
	/* release: the waiter's fields. acquire, on failure: the result. */
	if (!atomic_compare_exchange_strong_explicit(&t->join, &join, (uintptr_t)&waiter,
						     memory_order_release, memory_order_acquire)) {
		weft__wait_abandon(&waiter);
		if (join != JOIN_DONE)
			handle_misuse(t, "weft_join",
				      join == JOIN_DETACHED ? "detached"
				      : join == JOIN_FREED  ? "joined or detached already"
							    : "being joined already");
		return 0;
	}
	enum wait_outcome outcome = weft__wait(&waiter, deadline, true);
	if (outcome != WAIT_WOKEN && give_up(t, &waiter))
		return wait_errno(outcome);
	await_done(t);
	return 0;
}

/* t has ended. w: the caller's, or NULL. */
static inline void finish(struct worker *w, struct task *t, void **ret_result)
{
	san_acquire(t);
	if (ret_result)
		*ret_result = t->value;
	weft__task_pool_free(w ? &w->tasks : NULL, t);
}

/*
 * Takes t out of w's deque, to be started at once, if that is what w would pick next: the newest of
 * its deque, while it has nothing that was suspended. It is then the caller's alone.
 */
static inline bool take_child(struct worker *w, struct task *t)
{
	/* relaxed: for misuse only. */
	return weft__next_pick(w) % WEFT__LEADER_EVERY != 0 && !is_due(w->rt) &&
	       !chaos_at(w, CHAOS_ORDER) && weft__nothing_ready(w) && w->idle_coros &&
	       !task_reserve_at_any_time(t) &&
	       atomic_load_explicit(&t->join, memory_order_relaxed) == JOIN_NOBODY &&
	       weft__deque_pop_if(&w->deque, t);
}

/* Waits for t, which is the caller's alone and runs first. The worker on which the caller goes on;
 * NULL: it has given up. */
static struct worker *run_child(struct worker *w, struct task *t)
{
	struct waiter waiter;

	wait_begin_by(w->task, &waiter, true);
	/* release: as in wait_for_end(), if it hops. No compare-and-swap: its end is to come, and
	 * nobody else may join it. */
	atomic_store_explicit(&t->join, (uintptr_t)&waiter, memory_order_release);
	w = weft__wait_running(w, &waiter, t);
	if (__builtin_expect(wait_outcome(&waiter) != WAIT_WOKEN, 0) && give_up(t, &waiter))
		return NULL;
	return w;
}

/* Joins t, which is not the caller. */
static int join(struct task *t, int64_t deadline, void **ret_result)
{
	/* acquire: the result, released by end_task(). */
	if (atomic_load_explicit(&t->join, memory_order_acquire) != JOIN_DONE) {
		/* Not over wait_for_end(), where giving up costs a heavy fence. */
		if (deadline <= 0)
			return -ETIMEDOUT;
		if (deadline != WEFT_FOREVER && deadline <= weft__clock_now()) {
			weft_yield(); /* as weft__wait() does, where a cancellation wins too */
			return weft__caller_cancelled() ? -ECANCELED : -ETIMEDOUT;
		}
		int rc = wait_for_end(t, deadline);
		if (rc < 0)
			return rc;
	}
	finish(weft__worker(), t, ret_result);
	return 0;
}

void weft__join_ending(struct task *t, void **ret_result)
{
	struct worker *w = weft__worker();
	struct weft_runtime *rt = t->rt;
	bool visits = !w || w->rt != rt;

	if (visits)
		visit_begin(rt);
	await_done(t);
	finish(w, t, ret_result);
	if (visits)
		visit_end(rt);
}

int weft_join(weft_task *task, void **ret_result)
{
	struct task *t = task_of_handle(task);
	struct worker *w = weft__worker();

	if (w && t && take_child(w, t)) {
		w = run_child(w, t);
		if (!w)
			return -ECANCELED;
		finish(w, t, ret_result);
		return 0;
	}
	return weft_join_until(task, ret_result, WEFT_FOREVER);
}

int weft_join_until(weft_task *task, void **ret_result, int64_t deadline)
{
	struct task *t = task_of_handle(task);
	struct worker *w = weft__worker();

	if (!t)
		return -EINVAL;
	if (w && task_outside_scopes(w->task) == t)
		return -EDEADLK;
	if (w && w->rt == t->rt)
		return join(t, deadline, ret_result);
	/* t may be the runtime's last task: its end must not free what we still look at. */
	struct weft_runtime *rt = t->rt;
	visit_begin(rt);
	int rc = join(t, deadline, ret_result);
	visit_end(rt);
	return rc;
}

/* By who may touch t and its runtime until the return. */
static void detach(struct worker *w, struct task *t)
{
	uintptr_t join = JOIN_NOBODY;

	/* acq_rel: what the caller did with the task's memory comes before its end frees it, or the
	 * other way round. */
	if (atomic_compare_exchange_strong_explicit(&t->join, &join, JOIN_DETACHED,
						    memory_order_acq_rel, memory_order_acquire))
		return;
	if (join != JOIN_DONE)
		handle_misuse(t, "weft_detach",
			      join == JOIN_DETACHED ? "detached already"
			      : join == JOIN_FREED  ? "joined or detached already"
						    : "being joined");
	weft__task_pool_free(w ? &w->tasks : NULL, t);
}

int weft_detach(weft_task *task)
{
	struct task *t = task_of_handle(task);
	struct worker *w = weft__worker();

	if (!t)
		return -EINVAL;
	if (w && w->rt == t->rt) {
		detach(w, t);
		return 0;
	}
	/* If t has ended it may have been the last task: the runtime's end must not free the pool
	 * to which t goes back. */
	struct weft_runtime *rt = t->rt;
	visit_begin(rt);
	detach(w, t);
	visit_end(rt);
	return 0;
}
