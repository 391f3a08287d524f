/* SPDX-License-Identifier: MIT */
/*
 * Joining. struct task.join is a queue of one, with its own lock in it:
 *
 *   NOBODY → DONE              the task ends, nobody waits
 *   NOBODY → waiter            the joiner waits
 *   waiter → NOBODY            the joiner gives up: deadline or cancel
 *   waiter → BUSY → DONE       the task ends: between the two its end claims the waiter
 *   NOBODY → DETACHED          its end will free it
 *
 * A joiner that wants to give up and finds BUSY waits for DONE, since the waiter is being looked
 * at. It then has the result after all.
 */
#include "runtime.h"
#include "sched/os/pause.h"
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
			weft__fatal("weft_join: task %p \"%s\" is %s", (void *)t, task_name(t),
				    join == JOIN_DETACHED ? "detached" : "being joined already");
		return 0;
	}
	enum wait_outcome outcome = weft__wait(&waiter, deadline, true);
	if (outcome != WAIT_WOKEN) {
		join = (uintptr_t)&waiter;
		/* relaxed: nothing was published to us. */
		if (atomic_compare_exchange_strong_explicit(&t->join, &join, JOIN_NOBODY,
							    memory_order_relaxed,
							    memory_order_relaxed))
			return outcome == WAIT_TIMEDOUT ? -ETIMEDOUT : -ECANCELED;
	}
	await_done(t);
	return 0;
}

int weft_join(weft_task *task, void **ret_result)
{
	return weft_join_until(task, WEFT_FOREVER, ret_result);
}

/* Joins t, which is not the caller. */
static int join(struct task *t, int64_t deadline, void **ret_result)
{
	/* acquire: the result, released by end_task(). */
	if (atomic_load_explicit(&t->join, memory_order_acquire) != JOIN_DONE) {
		if (deadline <= 0)
			return -ETIMEDOUT;
		int rc = wait_for_end(t, deadline);
		if (rc < 0)
			return rc;
	}
	san_acquire(t);
	if (ret_result)
		*ret_result = t->value;
	struct worker *w = weft__worker();
	weft__task_pool_free(w ? &w->tasks : NULL, t);
	return 0;
}

int weft_join_until(weft_task *task, int64_t deadline, void **ret_result)
{
	struct task *t = task_of_handle(task);
	struct worker *w = weft__worker();

	if (!t)
		return -EINVAL;
	if (w && w->task == t)
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

int weft_detach(weft_task *task)
{
	struct task *t = task_of_handle(task);
	struct worker *w = weft__worker();
	uintptr_t join = JOIN_NOBODY;

	if (!t)
		return -EINVAL;
	/* acq_rel: what the caller did with the task's memory comes before its end frees it, or the
	 * other way round. */
	if (atomic_compare_exchange_strong_explicit(&t->join, &join, JOIN_DETACHED,
						    memory_order_acq_rel, memory_order_acquire))
		return 0;
	if (join != JOIN_DONE)
		weft__fatal("weft_detach: task %p \"%s\" is %s", (void *)t, task_name(t),
			    join == JOIN_DETACHED ? "detached already" : "being joined");
	weft__task_pool_free(w ? &w->tasks : NULL, t);
	return 0;
}
