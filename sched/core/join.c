/* SPDX-License-Identifier: MIT */
/*
 * Joining. struct task.join holds at most one waiter, without a lock:
 *
 *   NOBODY → DONE              the task ends, and nobody waits
 *   NOBODY → waiter            the joiner waits
 *   waiter → NOBODY            the joiner gives up: its deadline has passed, or it is cancelled
 *   waiter → DONE              the task ends: before that, its end claims the waiter
 *   NOBODY → DETACHED          the task is detached: its end will free it
 *
 * The end looks at the waiter while nobody holds a lock. So a joiner that gives up must not leave
 * the waiter's frame meanwhile. Giving up is rare, so the joiner pays:
 *
 *   the task's end                         a joiner that gives up
 *     store ending = true                    compare-and-swap join: waiter → NOBODY
 *     light fence                            heavy fence
 *     load join                              load ending
 *     a waiter: claim it, store DONE         false: nobody looks at the waiter
 *     NOBODY: compare-and-swap to DONE       true: wait for DONE
 *
 * Store-load race: at least one side sees the other's store.
 *
 *  (a) The end has found the waiter. Then the joiner finds `ending`. It waits for DONE, and has the
 *      result after all. It may do the same if it finds `ending` but the end has not found the
 *      waiter.
 *  (b) The joiner does not find `ending`. Then the end finds NOBODY, or what the owner of the
 *      handle has made of it since: another waiter, or DETACHED.
 *
 * The end's store of DONE overwrites the waiter, or the NOBODY of a joiner that waits for DONE. It
 * overwrites nothing else.
 *
 * Rejected: a state BUSY that the end puts in the waiter's place. It costs a compare-and-swap for
 * each end that somebody waits for.
 *
 * The child at the bottom of the joiner's own deque. The worker would run that task next, unless
 * another task was woken. So the joiner switches to it without a detour over queues. Nobody else
 * knows the task, so the joiner registers by a store.
 */
#include "join.h"

#include "cancel.h"
#include "chaos.h"
#include "due.h"
#include "identity.h"
#include "pick.h"
#include "runtime.h"
#include "scope.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/compiler.h"
#include "src/base/fatal.h"
#include "src/base/pause.h"
#include "tls.h"
#include "visit.h"
#include "wait.h"

#include <weft/task.h>

#include <errno.h>

static void await_done(struct task *t)
{
	/* acquire: sees the result, released by end_task(). */
	for (unsigned looks = 0; load_acquire(&t->join) != JOIN_DONE; looks++)
		weft__pause(looks);
}

/* Takes back the waiter, whose wait has ended without a wake. Returns false if t has ended after
 * all. */
static bool give_up(struct task *t, struct waiter *waiter)
{
	uintptr_t join = (uintptr_t)waiter;

	/* relaxed: nothing was published to us. */
	if (cas_relaxed(&t->join, &join, JOIN_NOBODY)) {
		weft__fence_heavy(); /* store-load race with end_task(): see above */
		if (!load_relaxed(&t->ending))
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

/* Waits for the end of t. Returns 0, or the error that says why it gave up. */
static WEFT__MAY_HOP int wait_for_end(struct task *t, int64_t deadline)
{
	struct waiter waiter;
	uintptr_t join = JOIN_NOBODY;

	weft__wait_begin(&waiter, deadline == WEFT_FOREVER);
	/* release: publishes the waiter's fields. acquire, on failure: sees the result. */
	if (!cas_release_else_acquire(&t->join, &join, (uintptr_t)&waiter)) {
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

/* Takes the result of t, which has ended, and frees t. w is the caller's worker, or NULL. */
static inline void finish(struct worker *w, struct task *t, void **ret_result)
{
	san_acquire(t);
	if (ret_result)
		*ret_result = t->value;
	weft__task_pool_free(w ? &w->tasks : NULL, t);
}

/*
 * Takes t out of w's deque, to be started at once, if w would pick t next. That is the case if t is
 * the newest in the deque and w has no task that was suspended. t then belongs to the caller alone.
 */
static inline bool take_child(struct worker *w, struct task *t)
{
	/* relaxed: this only detects misuse. */
	return weft__next_pick(w) % WEFT__LEADER_EVERY != 0 && !is_due(w->rt) &&
	       !chaos_at(w, CHAOS_ORDER) && weft__nothing_ready(w) && w->coros.first &&
	       !task_reserve_at_any_time(t) && load_relaxed(&t->join) == JOIN_NOBODY &&
	       weft__deque_pop_if(&w->deque, t);
}

/* Waits for t, which belongs to the caller alone and runs first. Returns the worker on which the
 * caller goes on, or NULL if it has given up. */
static WEFT__MAY_HOP WEFT__MUST_USE struct worker *run_child(struct worker *w, struct task *t)
{
	struct waiter waiter;

	wait_begin_by(w->task, &waiter, true);
	/* release: as in wait_for_end(), because t may hop. A compare-and-swap is not needed: t has
	 * not ended, and nobody else may join it. */
	store_release(&t->join, (uintptr_t)&waiter);
	w = weft__wait_running(w, &waiter, t);
	if (unlikely(wait_outcome(&waiter) != WAIT_WOKEN) && give_up(t, &waiter))
		return NULL;
	return w;
}

/* Joins t, which is not the caller. */
static WEFT__MAY_HOP int join(struct task *t, int64_t deadline, void **ret_result)
{
	/* acquire: sees the result, released by end_task(). */
	if (load_acquire(&t->join) != JOIN_DONE) {
		/* Without wait_for_end(), in which giving up costs a heavy fence. */
		if (deadline <= 0)
			return -ETIMEDOUT;
		if (deadline != WEFT_FOREVER && deadline <= weft__clock_now()) {
			weft_yield(); /* as weft__wait() does, in which a cancellation wins too */
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

WEFT__MAY_HOP int weft_join(weft_task *task, void **ret_result)
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

WEFT__MAY_HOP int weft_join_until(weft_task *task, void **ret_result, int64_t deadline)
{
	struct task *t = task_of_handle(task);
	struct worker *w = weft__worker();

	if (!t)
		return -EINVAL;
	if (w && task_outside_scopes(w->task) == t)
		return -EDEADLK;
	if (w && w->rt == t->rt)
		return join(t, deadline, ret_result);
	/* t may be the runtime's last task. Its end must not free what we still look at. */
	struct weft_runtime *rt = t->rt;
	visit_begin(rt);
	int rc = join(t, deadline, ret_result);
	visit_end(rt);
	return rc;
}

/* Detaches t. The caller may touch t and its runtime until the return. */
static void detach(struct worker *w, struct task *t)
{
	uintptr_t join = JOIN_NOBODY;

	/* acq_rel: all that the caller did with the task's memory comes before the task's end frees
	 * it, or the other way round. */
	if (cas_acq_rel_else_acquire(&t->join, &join, JOIN_DETACHED))
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
	/* t may have been the last task, and have ended. The end of the runtime must not free the
	 * pool to which t goes back. */
	struct weft_runtime *rt = t->rt;
	visit_begin(rt);
	detach(w, t);
	visit_end(rt);
	return 0;
}
