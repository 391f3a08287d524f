/* SPDX-License-Identifier: MIT */
/*
 * Groups. A count of tasks, the first error, and a list of those members that run, so that they can
 * be cancelled. A member enters the list by itself when it starts, and leaves it when it ends: its
 * node is in its own frame, and one that has not started needs none, since it finds out that the
 * group is cancelled.
 *
 * A member reaches its end under the lock, and whoever waits for the group looks at the count under
 * the lock: so the last member is done with the group when the wait returns.
 *
 * What a member is started with lies in its control block (struct membership), so that spawning needs
 * no memory besides. A member takes the lock twice, its spawner once.
 *
 * A group belongs to the task that has initialised it, which it knows by its identity: the task may
 * be gone. While members run it is a branch of that task (family.h), so that cancelling the task
 * cancels the group, wherever the task is. It becomes one when a member is spawned by the task
 * itself, or by a fork below it: then the task is there. The new member is counted before. It ceases to be one when somebody has
 * waited for the group, and nothing runs in it then, before that wait returns; or when the task
 * ends. Whoever takes it out of the family does so under the group's lock: another one who has waited
 * may go on at once and spawn, and must not put it in again while it is still in.
 *
 * Cancelling requests it of some members at a time under the lock, and claims their waits: each is
 * alive because it would need the lock to leave. They are woken after the unlock.
 */
#include "sched/core/family.h"
#include "sched/core/identity.h"
#include "sched/core/runtime.h"
#include "sched/core/wait.h"
#include "self.h"
#include "sync_lock.h"

#include <weft/group.h>

#include <errno.h>

#define ERRNO_MAX 4095

/* A running task of the group. In its frame. */
struct member {
	struct member *next, **link; /* under the group's lock */
	struct task *task;           /* immutable */
};

/* One who waits for the group. In its frame. */
struct group_wait {
	struct waiter waiter;
	struct group_wait *next, **link; /* under the group's lock; link NULL: in no list */
};

/* All under lock. */
struct group {
	struct sync_lock lock;
	bool cancelled;
	bool entered; /* it is its owner's branch, or is about to be; or was, and the owner ended */
	int error;    /* the first one; 0: none */
	size_t running;     /* spawned and not ended */
	struct member *new; /* started, and not cancelled by the group */
	struct member *old; /* cancelled by it */
	struct group_wait *waits;
	uint64_t owner;       /* immutable: the identity of its task; 0: it has none */
	struct branch branch; /* under its own locks */
} __attribute__((may_alias)); /* the same memory as a caller's weft_group */

static_assert(sizeof(struct group) <= sizeof(weft_group), "a group fits its public storage");
static_assert(alignof(struct group) <= alignof(weft_group), "a group fits its public storage");

static void member_add_locked(struct member **list, struct member *m)
{
	m->next = *list;
	m->link = list;
	if (m->next)
		m->next->link = &m->next;
	*list = m;
}

static void member_remove_locked(struct member *m)
{
	*m->link = m->next;
	if (m->next)
		m->next->link = m->link;
}

static void wait_add_locked(struct group *g, struct group_wait *wait)
{
	wait->next = g->waits;
	wait->link = &g->waits;
	if (wait->next)
		wait->next->link = &wait->next;
	g->waits = wait;
}

static void wait_remove_locked(struct group_wait *wait)
{
	*wait->link = wait->next;
	if (wait->next)
		wait->next->link = wait->link;
	wait->link = NULL;
}

/* Adds the branches that it pins to the list. */
static void cancel_members(struct group *g, struct branch **pinned)
{
	struct task *tasks[WEFT__CANCEL_SOME];
	bool more;

	do {
		unsigned count = 0;

		sync_lock(&g->lock);
		g->cancelled = true;
		for (; count < WEFT__CANCEL_SOME && g->new; count++) {
			struct member *m = g->new;
			member_remove_locked(m);
			member_add_locked(&g->old, m);
			tasks[count] = m->task;
		}
		struct waiter *claimed = weft__cancel_some(tasks, count, pinned);
		more = g->new != NULL;
		sync_unlock(&g->lock);
		weft__wake_cancelled(claimed);
	} while (more);
}

static void cancel_all(struct group *g)
{
	struct branch *pinned = NULL;

	cancel_members(g, &pinned);
	weft__reach_branches(pinned);
}

/* The group's branch is reached. */
static void reach(struct branch *b, struct branch **pinned)
{
	cancel_members((struct group *)((char *)b - offsetof(struct group, branch)), pinned);
}

/* The group's task, if it is the caller or above it. Else it may be gone. */
static struct task *owner_above(const struct group *g, struct task *caller)
{
	struct task *t = caller;

	if (g->owner == 0)
		return NULL;
	/* relaxed: a number publishes nothing. */
	while (t && atomic_load_explicit(&t->identity, memory_order_relaxed) != g->owner)
		t = family_parent(t);
	return t;
}

/* While nothing runs in the group. Without the lock weft__branch_await() must follow. */
static void leave_family_locked(struct group *g)
{
	if (g->entered)
		weft__branch_leave(&g->branch);
	g->entered = false;
}

/* Takes one from the count. Returns those who waited for the last one, claimed. */
static struct group_wait *count_down_locked(struct group *g)
{
	struct group_wait *claimed = NULL;

	if (--g->running == 0) {
		while (g->waits) {
			struct group_wait *wait = g->waits;
			wait_remove_locked(wait);
			if (weft__wait_take(&wait->waiter)) {
				wait->next = claimed; /* its links are ours until it is woken */
				claimed = wait;
			}
		}
	}
	return claimed;
}

/* Without the lock, which was the caller's last touch of the group. */
static void wake_all(struct group_wait *claimed)
{
	while (claimed) {
		struct group_wait *wait = claimed;
		claimed = wait->next;
		weft__wait_wake(weft__wakeup_of(&wait->waiter));
	}
}

/* The error that a task's result means; 0: none. */
static int error_of(void *result)
{
	intptr_t value = (intptr_t)result;

	return value < 0 && value >= -ERRNO_MAX ? (int)value : 0;
}

/* The first task that fails cancels the others. It counts as running still, so the group is there. */
static __attribute__((noinline)) void fail(struct group *g, int error)
{
	sync_lock(&g->lock);
	bool first = !g->error;
	if (first)
		g->error = error;
	sync_unlock(&g->lock);
	if (first)
		cancel_all(g);
}

static void *member_main(void *arg)
{
	struct task *t = weft__worker()->task;
	struct membership member = member_begin(t);
	struct group *g = member.group;
	struct member self = {.task = t};

	/* Ours while we run: so that weft_group_wait_until() knows whose task calls. */
	t->flags |= TASK_MEMBER;
	t->value = g;
	sync_lock(&g->lock);
	bool cancelled = g->cancelled;
	member_add_locked(cancelled ? &g->old : &g->new, &self);
	sync_unlock(&g->lock);
	if (cancelled)
		weft_cancel(task_handle(t));

	int error = error_of(member.fn(arg));
	task_run_end(t); /* before the group hears of it */
	if (error)
		fail(g, error);

	san_release(g);
	sync_lock(&g->lock);
	member_remove_locked(&self);
	struct group_wait *claimed = count_down_locked(g);
	sync_unlock(&g->lock); /* the group may be gone now */
	wake_all(claimed);
	return NULL;
}

void weft_group_init(weft_group *group)
{
	struct group *g = (struct group *)group;

	san_forget(g, sizeof(weft_group));
	*g = (struct group){.branch.kin.reach = reach};
	struct worker *w = weft__worker();
	if (w) {
		weft__family_branches(w, w->task);
		g->owner = task_identity(w->task);
	}
}

void weft_group_fini(weft_group *group)
{
	struct group *g = (struct group *)group;

	sync_lock(&g->lock);
	size_t running = g->running;
	if (running == 0)
		leave_family_locked(g);
	sync_unlock(&g->lock);
	if (running > 0)
		weft__sync_misuse("weft_group_fini", "group", g, "has tasks running");
	weft__branch_await(&g->branch);
	san_forget(g, sizeof(weft_group));
}

/* Takes back that a task was counted, which could not be spawned. */
static __attribute__((noinline)) void forgo(struct group *g)
{
	sync_lock(&g->lock);
	bool alone = g->running == 1; /* nothing runs: it is no branch of its owner then */
	if (alone)
		leave_family_locked(g);
	sync_unlock(&g->lock);
	if (alone)
		weft__branch_await(&g->branch);
	sync_lock(&g->lock);
	struct group_wait *claimed = count_down_locked(g);
	sync_unlock(&g->lock);
	wake_all(claimed);
}

int weft_group_spawn(weft_group *group, weft_fn *fn, void *arg)
{
	struct group *g = (struct group *)group;

	if (!g || !fn)
		return -EINVAL;
	struct worker *w = weft__worker();
	if (!w)
		return -EPERM;
	sync_lock(&g->lock);
	/* From here on it counts as running, so that nobody takes the group out of the family. */
	g->running++;
	struct task *owner = g->entered ? NULL : owner_above(g, w->task);
	g->entered = g->entered || owner;
	sync_unlock(&g->lock);
	if (owner && weft__branch_enter(&g->branch, owner))
		cancel_all(g);
	struct membership member = {g, fn};
	int rc = weft__spawn_member(member_main, arg, &member);
	if (rc < 0)
		forgo(g);
	return rc;
}

int weft_group_wait(weft_group *g)
{
	return weft_group_wait_until(g, WEFT_FOREVER);
}

/* Waits for a moment at which nothing of the group runs. */
static enum wait_outcome await_end_locked(struct group *g, int64_t deadline, bool cancellable)
{
	struct group_wait wait;

	weft__wait_begin(&wait.waiter, deadline == WEFT_FOREVER);
	wait_add_locked(g, &wait);
	sync_unlock(&g->lock);
	enum wait_outcome outcome = weft__wait(&wait.waiter, deadline, cancellable);
	sync_lock(&g->lock);
	if (outcome != WAIT_WOKEN && wait.link)
		wait_remove_locked(&wait);
	return outcome;
}

/* Whether the caller is a task of the group, whose wait for it would be one for itself. */
static bool is_member(const struct group *g)
{
	const struct worker *w = weft__worker();
	const struct task *t = w ? w->task : NULL;

	return t && t->flags & TASK_MEMBER && t->value == g;
}

int weft_group_wait_until(weft_group *group, int64_t deadline)
{
	struct group *g = (struct group *)group;
	enum wait_outcome outcome = WAIT_WOKEN;
	bool cancelled = false;

	if (!g)
		return -EINVAL;
	if (is_member(g))
		return -EDEADLK;
	sync_lock(&g->lock);
	while (g->running > 0) {
		if (deadline <= 0) {
			outcome = WAIT_TIMEDOUT;
			break;
		}
		outcome = await_end_locked(g, deadline, !cancelled);
		if (outcome != WAIT_CANCELLED)
			break;
		cancelled = true;
		sync_unlock(&g->lock);
		cancel_all(g);
		sync_lock(&g->lock);
	}
	int error = g->error;
	bool over = g->running == 0; /* else somebody has spawned since we were woken */
	if (over)
		leave_family_locked(g);
	sync_unlock(&g->lock);
	if (over)
		weft__branch_await(&g->branch);
	if (outcome == WAIT_TIMEDOUT)
		return -ETIMEDOUT;
	san_acquire(g);
	if (error)
		return error;
	return cancelled ? -ECANCELED : 0;
}

void weft_group_cancel(weft_group *g)
{
	if (g)
		cancel_all((struct group *)g);
}
