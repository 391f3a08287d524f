/* SPDX-License-Identifier: MIT */
/*
 * Groups: the struct, and what its files share. group.c: members, cancelling, and waiting for the end.
 * group_spawn.c: spawning, and the limit. group_next.c: results.
 *
 * A group is a count of tasks, the first error, and a list of those members that run, so that they can
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
 * itself, or by a fork below it: then the task is there. The new member is counted before. It
 * ceases to be one when somebody has waited for the group, and nothing runs in it then, before that
 * wait returns; or when the task ends. Whoever takes it out of the family does so under the group's lock: another one who has waited
 * may go on at once and spawn, and must not put it in again while it is still in.
 *
 * Cancelling requests it of some members at a time under the lock, and claims their waits: each is
 * alive because it would need the lock to leave. They are woken after the unlock.
 *
 * The limit. Whoever spawns beyond it waits in `spawners`. A member that ends leaves its place to the
 * first of them: `running` stays what it is, so the place is counted before the spawner runs, and
 * nobody can take it away. So while somebody waits there, `running` is at the limit or above.
 *
 * Results. They are kept only in a group that was told to. A member that ends hands its result to the
 * first who waits for one, and copies it into that one's frame. If there is none, its control block
 * keeps the result: the member, which was born detached, takes that back, and enters the list
 * `results`. So a result needs no memory of its own, and other groups pay for a look at a flag. Who
 * takes the block out of the list waits until the member is off it, which is on its way to its end and
 * waits for nothing any more; then frees it. While somebody waits in `receivers`, `results` is empty and
 * something runs.
 */
#ifndef WEFT_SYNC_GROUP_H
#define WEFT_SYNC_GROUP_H

#include "queue.h"
#include "sched/core/family.h"

#include <weft/group.h>

#define GROUP_UNLIMITED SIZE_MAX

/* A running task of the group. In its frame. */
struct member {
	struct member *next, **link; /* under the group's lock */
	struct task *task;           /* immutable */
};

/* All under ends.lock, which is the group's. */
struct group {
	struct sync_queue ends; /* who waits for the end */
	bool cancelled;
	bool entered; /* it is its owner's branch, or is about to be; or was, and the owner ended */
	bool keeps;   /* results are kept */
	int error;    /* the first one; 0: none */
	size_t running;     /* spawned and not ended, and places that were left to a spawner */
	size_t limit;       /* of running, at least 1; or GROUP_UNLIMITED */
	struct member *new; /* started, and not cancelled by the group */
	struct member *old; /* cancelled by it */
	struct sync_queue spawners;  /* who waits for a place (its own lock is not used) */
	struct sync_queue receivers; /* who waits for a result (the same) */
	struct task *results,
		**result_tail; /* of members that have ended, linked by .next_result */
	uint64_t owner; /* immutable: the number of its task or scope (scope.h); 0: it has none */
	struct branch branch; /* under its own locks */
} __attribute__((may_alias)); /* the same memory as a caller's weft_group */

static_assert(sizeof(struct group) <= sizeof(weft_group), "a group fits its public storage");
static_assert(alignof(struct group) <= alignof(weft_group), "a group fits its public storage");

static inline void group_lock(struct group *g)
{
	sync_lock(&g->ends.lock);
}

static inline void group_unlock(struct group *g)
{
	sync_unlock(&g->ends.lock);
}

/* As sync_wait_unlock(), in a queue of the group, whose lock the caller has. */
static inline enum wait_outcome group_wait_unlock(struct group *g, struct sync_queue *q,
						  struct sync_node *node, int64_t deadline)
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

/* Whether the caller is a task of the group, whose wait for it would be one for itself. */
static inline bool group_is_member(const struct group *g)
{
	const struct worker *w = weft__worker();
	const struct task *t = w ? w->task : NULL;

	return t && t->flags & TASK_MEMBER && t->value == g;
}

/* What a member of the group runs, of which membership.group is g. */
void *weft__group_member_main(void *arg);

/* Cancels all members, and those to come. The group is there until the return. */
void weft__group_cancel_all(struct group *g);

/* While nothing runs in the group. Without the lock weft__branch_await() must follow. */
void weft__group_leave_family_locked(struct group *g);

/* Leaves the place of a member to a spawner that waits for one. NULL: the limit has become lower, or
 * they have given up. */
struct sync_node *weft__group_leave_place_locked(struct group *g);

/* Nothing runs any more. */
struct sync_node *weft__group_over_locked(struct group *g);

/* A member less. Returns who is to be woken, for sync_wake_all(): after the unlock, which is the
 * caller's last touch of the group. */
static inline struct sync_node *group_count_down_locked(struct group *g)
{
	if (__builtin_expect(sync_first(&g->spawners) != NULL, 0)) {
		struct sync_node *next = weft__group_leave_place_locked(g);
		if (next)
			return next;
	}
	if (__builtin_expect(--g->running == 0, 0))
		return weft__group_over_locked(g);
	return NULL;
}

/* By t, a member that is about to end: its result is handed on or kept. Returns who is to be woken, one
 * at most. */
struct sync_node *weft__group_keep_locked(struct group *g, struct task *t, void *result);

/* Nothing runs any more, and those who wait for results get none: adds them to the list. */
void weft__group_no_more_locked(struct group *g, struct sync_node **list);

/* Drops the results that are left. While nobody else uses the group. */
void weft__group_drop_results(struct group *g);

#endif
