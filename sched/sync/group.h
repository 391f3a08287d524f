/* SPDX-License-Identifier: MIT */
/*
 * Groups: the struct, and what its files share. group.c has the members, cancelling, and waiting
 * for the end. group_spawn.c has spawning and the limit. group_next.c has the results.
 *
 * A group holds a count of tasks, the first error, and a list of the running members, so that they
 * can be cancelled. A member enters the list itself when it starts, and leaves the list when it
 * ends. Its node lies in its own frame. A member that has not started needs no node: when it
 * starts, it finds out that the group is cancelled.
 *
 * A member ends under the group's lock, and a caller that waits for the group looks at the count
 * under that lock. So the last member no longer uses the group when the wait returns.
 *
 * What a member is started with lies in its control block (struct membership). So spawning needs no
 * further memory. A member takes the lock twice, and its spawner takes it once.
 *
 * The family. A group belongs to the task that initialised it. It knows that task by its identity,
 * because the task may be gone. While members run, the group is a branch of that task (family.h).
 * So cancelling the task cancels the group, wherever the task is.
 *  - The group becomes a branch when the task itself, or a fork below it, spawns a member: the task
 *    is certain to exist then. The new member is counted first.
 *  - The group stops being a branch before a wait for it returns, if nothing runs in it at that
 *    point. It also stops when the task ends.
 *  - A caller takes the group out of the family under the group's lock. Another caller that has
 *    waited may go on and spawn at once, and must not enter the group while it is still in.
 *
 * Cancelling. A canceller handles some members at a time. Under the lock it requests the
 * cancellation of each and claims its wait. Each member is alive, because it would need the lock to
 * leave. The members are woken after the unlock.
 *
 * The limit. A spawner that would exceed it waits in `spawners`. A member that ends leaves its
 * place to the first spawner: `running` stays as it is. So the place is counted before the spawner
 * runs, and nobody can take it away. While a spawner waits there, `running` is at the limit or
 * above.
 *
 * Results. A group keeps them only if it was told to.
 *  - If a caller waits for a result, the member that ends copies its result into that caller's
 *    frame.
 *  - If none waits, the member's control block keeps the result. A member is born detached. It
 *    takes that back and enters the list `results`. So a result needs no memory of its own.
 *  - A caller that takes a control block from the list waits until the member has left it, and then
 *    frees it. That is soon: the member is on its way to its end and waits for nothing.
 *  - While a caller waits in `receivers`, `results` is empty and something runs.
 *  - Groups that keep no results pay for one test of a flag.
 */
#ifndef WEFT_SYNC_GROUP_H
#define WEFT_SYNC_GROUP_H

#include "queue.h"
#include "sched/core/family.h"
#include "sched/core/tls.h"
#include "src/base/compiler.h"
#include "src/base/list.h"

#include <weft/group.h>

#define GROUP_UNLIMITED SIZE_MAX

/* A running task of the group. Lies in the task's frame. */
struct member {
	struct weft__link link; /* under the group's lock */
	struct task *task;      /* immutable */
};

/* All fields are under ends.lock, which is the group's lock, unless they say otherwise. */
struct group {
	struct sync_queue ends; /* callers that wait for the end */
	bool cancelled;
	bool entered; /* it is its owner's branch or is about to be, or was until its owner ended */
	bool keeps;   /* results are kept */
	int error;    /* the first one; 0 if none */
	size_t running;              /* members that have not ended, and places left to a spawner */
	size_t limit;                /* of `running`: at least 1, or GROUP_UNLIMITED */
	struct weft__list new;       /* members that the group has not cancelled */
	struct weft__list old;       /* members that it has cancelled */
	struct sync_queue spawners;  /* wait for a place; its own lock is not used */
	struct sync_queue receivers; /* wait for a result; its own lock is not used */
	struct task *results, **result_tail; /* members that have ended, linked by .next_result */
	uint64_t owner;       /* immutable: the number of its task or scope (scope.h), or 0 */
	struct branch branch; /* under its own locks */
} __attribute__((may_alias)); /* the same memory as a caller's weft_group */

static_assert(sizeof(struct group) <= sizeof(weft_group), "a group fits its public storage");
static_assert(alignof(struct group) <= alignof(weft_group), "a group fits its public storage");

static inline void group_lock(struct group *g)
{
	(sync_lock)(&g->ends.lock);
}

static inline void group_unlock(struct group *g)
{
	(sync_unlock)(&g->ends.lock);
}

/* For the check of the order (src/base/lockcheck.h). */
#define group_lock(g)   WEFT__TAKES(&(g)->ends.lock, WEFT__RANK_GROUP, (group_lock)(g))
#define group_unlock(g) WEFT__GIVES(&(g)->ends.lock, WEFT__RANK_GROUP, (group_unlock)(g))

/* Like sync_wait_unlock(), for a queue of the group. The caller holds the group's lock. */
static inline WEFT__MAY_HOP enum wait_outcome
group_wait_unlock(struct group *g, struct sync_queue *q, struct sync_node *node, int64_t deadline)
{
	weft__wait_begin(&node->waiter, deadline == WEFT_FOREVER);
	sync_push_locked(q, node);
	group_unlock(g);
	enum wait_outcome outcome = weft__wait(&node->waiter, deadline, true);
	if (outcome != WAIT_WOKEN) {
		group_lock(g);
		if (node->queued)
			sync_remove_locked(q, node);
		group_unlock(g);
	}
	return outcome;
}

/* Returns whether the caller is a task of the group. If it is, a wait for the group would be a wait
 * for itself. */
static inline bool group_is_member(const struct group *g)
{
	const struct worker *w = weft__worker();
	const struct task *t = w ? w->task : NULL;

	return t && t->flags & TASK_MEMBER && t->value == g;
}

/* The function that a member of g runs. Its membership.group is g. */
WEFT__MAY_HOP void *weft__group_member_main(void *arg);

/* Cancels all members, and those that are spawned later. The group must exist until this
 * returns. */
void weft__group_cancel_all(struct group *g);

/* Takes the group out of the family. Nothing runs in the group. After the unlock the caller must
 * call weft__branch_await(). */
void weft__group_leave_family_locked(struct group *g);

/* Leaves a member's place to a waiting spawner, which it returns. Returns NULL if the limit is now
 * lower, or if all spawners have given up. */
struct sync_node *weft__group_leave_place_locked(struct group *g);

/* Called when nothing runs in the group any longer. Returns the nodes to be woken. */
struct sync_node *weft__group_over_locked(struct group *g);

/* Counts one member less. Returns the nodes to be woken by sync_wake_all() after the unlock, which
 * must be the caller's last touch of the group. */
static inline struct sync_node *group_count_down_locked(struct group *g)
{
	if (unlikely(sync_first(&g->spawners) != NULL)) {
		struct sync_node *next = weft__group_leave_place_locked(g);
		if (next)
			return next;
	}
	if (unlikely(--g->running == 0))
		return weft__group_over_locked(g);
	return NULL;
}

/* Hands on or keeps the result of t, a member that is about to end. Returns the node to be woken,
 * or NULL. Called by t. */
struct sync_node *weft__group_keep_locked(struct group *g, struct task *t, void *result);

/* Adds the callers that wait for results to the list: nothing runs any longer, so they get none. */
void weft__group_no_more_locked(struct group *g, struct sync_node **list);

/* Drops the results that are left. Nobody else may use the group meanwhile. */
void weft__group_drop_results(struct group *g);

#endif
