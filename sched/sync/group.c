/* SPDX-License-Identifier: MIT */
/* Groups: the members, cancelling, and waiting for the end. group.h describes the design. */
#include "group.h"
#include "sched/core/cancel.h"
#include "src/base/compiler.h"

#include "sched/core/scope.h"
#include "self.h"

#include <errno.h>

#define ERRNO_MAX 4095

/* Cancels the members, and adds the branches that it holds to the list. */
static void cancel_members(struct group *g, struct branch **held)
{
	struct task *tasks[WEFT__CANCEL_SOME];
	struct weft__link *link;
	bool more;

	do {
		unsigned count = 0;

		group_lock(g);
		g->cancelled = true;
		for (; count < WEFT__CANCEL_SOME && (link = weft__list_first(&g->new)); count++) {
			weft__list_remove(link);
			weft__list_push_first(&g->old, link);
			tasks[count] = container_of(link, struct member, link)->task;
		}
		struct waiter *claimed = weft__cancel_some(tasks, count, held);
		more = !weft__list_is_empty(&g->new);
		group_unlock(g);
		weft__wake_cancelled(claimed);
	} while (more);
}

void weft__group_cancel_all(struct group *g)
{
	struct branch *held = NULL;

	cancel_members(g, &held);
	weft__reach_branches(held);
}

/* Called when a canceller reaches the group's branch. */
static void reach(struct branch *b, struct branch **held)
{
	cancel_members(container_of(b, struct group, branch), held);
}

void weft__group_leave_family_locked(struct group *g)
{
	if (g->entered)
		weft__branch_leave(&g->branch);
	g->entered = false;
}

struct sync_node *weft__group_over_locked(struct group *g)
{
	struct sync_node *woken = sync_take_all_locked(&g->ends);

	if (sync_first(&g->receivers))
		weft__group_no_more_locked(g, &woken);
	return woken;
}

/* Returns the error that a task's result means; 0 if it means none. */
static int error_of(void *result)
{
	intptr_t value = (intptr_t)result;

	return value < 0 && value >= -ERRNO_MAX ? (int)value : 0;
}

/* The first task that fails cancels the others. It still counts as running, so the group exists. */
static __attribute__((noinline)) void fail(struct group *g, int error)
{
	group_lock(g);
	bool first = !g->error;
	if (first)
		g->error = error;
	group_unlock(g);
	if (first)
		weft__group_cancel_all(g);
}

void *weft__group_member_main(void *arg)
{
	struct task *t = weft__worker()->task;
	struct membership member = member_begin(t);
	struct group *g = member.group;
	struct member self = {.task = t};

	/* These are ours while we run. They tell group_is_member() whose task calls. */
	t->flags |= TASK_MEMBER;
	t->value = g;
	group_lock(g);
	bool cancelled = g->cancelled;
	weft__list_push_first(cancelled ? &g->old : &g->new, &self.link);
	group_unlock(g);
	if (cancelled)
		weft_cancel(task_handle(t));

	void *result = member.fn(arg);
	int error = error_of(result);
	task_run_end(t); /* before the group hears of the end */
	if (error)
		fail(g, error);

	struct sync_node *receiver = NULL;
	san_release(g);
	group_lock(g);
	weft__list_remove(&self.link);
	if (unlikely(g->keeps))
		receiver = weft__group_keep_locked(g, t, result);
	struct sync_node *woken = group_count_down_locked(g);
	group_unlock(g); /* the group may be gone from here on */
	sync_wake_all(receiver);
	sync_wake_all(woken);
	return result;
}

void weft_group_init(weft_group *group)
{
	struct group *g = (struct group *)group;

	san_forget(g, sizeof(weft_group));
	*g = (struct group){.limit = GROUP_UNLIMITED, .branch.kin.reach = reach};
	weft__list_init(&g->new);
	weft__list_init(&g->old);
	WEFT__SET_RANK(&g->branch.lock, BRANCH);
	g->result_tail = &g->results;
	struct worker *w = weft__worker();
	if (w) {
		weft__family_branches(w, w->task);
		g->owner = weft__family_number(w->task);
	}
}

void weft_group_fini(weft_group *group)
{
	struct group *g = (struct group *)group;

	group_lock(g);
	size_t running = g->running;
	if (running == 0)
		weft__group_leave_family_locked(g);
	group_unlock(g);
	if (running > 0)
		weft__sync_misuse("weft_group_fini", "group", g, "still has running tasks");
	weft__branch_await(&g->branch);
	if (g->results)
		weft__group_drop_results(g);
	san_forget(g, sizeof(weft_group));
}

/* Waits for a moment at which nothing of the group runs. */
static WEFT__MAY_HOP enum wait_outcome await_end_locked(struct group *g, int64_t deadline,
							bool cancellable)
{
	struct sync_node node;

	weft__wait_begin(&node.waiter, deadline == WEFT_FOREVER);
	sync_push_locked(&g->ends, &node);
	group_unlock(g);
	enum wait_outcome outcome = weft__wait(&node.waiter, deadline, cancellable);
	group_lock(g);
	if (node.queued)
		sync_remove_locked(&g->ends, &node);
	return outcome;
}

/* cancels: at the deadline the group is cancelled, and the wait goes on. */
static WEFT__MAY_HOP int wait_until(weft_group *group, int64_t deadline, bool cancels)
{
	struct group *g = (struct group *)group;
	enum wait_outcome outcome = WAIT_WOKEN;
	bool cancelled = false, late = false;

	if (!g)
		return -EINVAL;
	if (group_is_member(g))
		return -EDEADLK;
	group_lock(g);
	while (g->running > 0) {
		outcome = WAIT_TIMEDOUT;
		if (deadline > 0)
			outcome = await_end_locked(g, deadline, !cancelled && !late);
		if (outcome == WAIT_WOKEN || (outcome == WAIT_TIMEDOUT && !cancels))
			break;
		if (outcome == WAIT_CANCELLED) {
			cancelled = true;
		} else {
			late = !cancelled && !g->error; /* false: it was cancelled before that */
			deadline = WEFT_FOREVER;
		}
		group_unlock(g);
		weft__group_cancel_all(g);
		group_lock(g);
	}
	int error = g->error;
	bool over = g->running == 0; /* false: somebody has spawned since our wake */
	if (over)
		weft__group_leave_family_locked(g);
	group_unlock(g);
	if (over)
		weft__branch_await(&g->branch);
	if (outcome == WAIT_TIMEDOUT && !cancels)
		return -ETIMEDOUT;
	san_acquire(g);
	if (late)
		return -ETIMEDOUT;
	if (error)
		return error;
	return cancelled ? -ECANCELED : 0;
}

WEFT__MAY_HOP int weft_group_wait(weft_group *g)
{
	return wait_until(g, WEFT_FOREVER, false);
}

WEFT__MAY_HOP int weft_group_wait_until(weft_group *g, int64_t deadline)
{
	return wait_until(g, deadline, false);
}

WEFT__MAY_HOP int weft_group_wait_or_cancel_until(weft_group *g, int64_t deadline)
{
	return wait_until(g, deadline, true);
}

void weft_group_cancel(weft_group *g)
{
	if (g)
		weft__group_cancel_all((struct group *)g);
}
