/* SPDX-License-Identifier: MIT */
/*
 * Families: how a cancellation reaches structured children. The root of a family is a task that is
 * no fork; its members are its forks, their forks, and so on. To cancel a task cancels all members
 * below it as well, at once, wherever the task itself is: in a mutex, in a blocking call, in a
 * masked region.
 *
 * The problem: a fork costs some nanoseconds, so no list of them can be kept. The solution: a fork
 * knows its parent, which is one store. Who wants to know whether a fork is cancelled looks at those
 * above it. Only a fork that would have to be woken, because it waits, enters the list of its
 * family, once in its life.
 *
 *   struct task.cancel   REQUESTED   the task is cancelled; sticky
 *                        BUSY        of a root: the family's lock. Of a fork: a canceller is at work
 *                                    on it, under that lock
 *                        REACHED     every request for somebody above is set in the task's own word
 *                                    too. Of a root from the start, of a fork from its entry
 *   struct task.family   of a fork: its parent, immutable. Of a root: the list, tagged, under BUSY
 *
 * Invariants.
 *  1. A fork is in its family's list from when it has set REACHED until its end. It lives while it
 *     is in there: to leave it needs the lock.
 *  2. A request for a task is set, under the family's lock, in its word and in those of all listed
 *     forks below it. A fork that enters looks, under the lock, at all above it until the first that
 *     is REACHED, and takes over what is requested there.
 *     So under the lock a REACHED task's own word says whether it is cancelled.
 *  3. Those above a fork live as long as it does, since they must join it, directly or not.
 *  4. A canceller touches a family only under the family's lock, except for waits that it has
 *     claimed and not yet woken. Nobody learns of a request and ends before the canceller has given
 *     the lock back: weft_cancelled() waits for the root's BUSY, not just for that of the task at
 *     which it has found the request; and a fork whose wait was ended is in the list, which it needs
 *     the lock to leave. So all of them are there as long as the canceller is at work.
 *  5. Of locks: the group's before a root's before a fork's BUSY; and several roots only under their
 *     group's. Nobody waits for anything else under them.
 *
 *   a fork that waits (wait.c)                   a canceller of somebody above
 *     store waiting
 *     lock; look at those above;                   lock; store REQUESTED above
 *       enter the list; unlock                     for each in the list: store REQUESTED
 *     load its REQUESTED                           heavy fence; load its waiting
 *
 * Whoever has the lock first is seen by the other: if the fork, the canceller finds it in the list,
 * and its `waiting`, published by the unlock; if the canceller, the fork finds the request above
 * it, and takes its wait back. From then on the fork's waits are like every task's: cancel_watch().
 *
 * (Rejected: each fork that waits looks at all above it and keeps no entry. A fork that waits a
 * thousand times would take the lock a thousand times. Rejected: the list has forks of one parent
 * only, which is found by its own parent's. A fork that waits would need to enter all above it.)
 */
#ifndef WEFT_CORE_FAMILY_H
#define WEFT_CORE_FAMILY_H

#include "task.h"

/* A fork, with what only forks have. The storage of weft_forked. */
struct fork {
	struct task task;
	struct fork *next,
		*prev; /* of the family's list, under its lock; prev NULL: the first one */
};

static_assert(sizeof(struct fork) <= sizeof(weft_forked), "a fork fits its public storage");
static_assert(alignof(struct fork) <= alignof(weft_forked), "a fork fits its public storage");

/* The parent of a fork; NULL: t is a root. Of a task that lives. */
static inline struct task *family_parent(struct task *t)
{
	/* relaxed: immutable in a fork, and of a root only the tag is looked at. */
	uintptr_t family = atomic_load_explicit(&t->family, memory_order_relaxed);

	return family & FAMILY_ROOT ? NULL : (struct task *)family;
}

struct task *weft__family_root(struct task *t);

/* The first fork in the root's list. Under the lock. */
static inline struct fork *family_first(struct task *root)
{
	/* relaxed: under the lock. */
	return (struct fork *)(atomic_load_explicit(&root->family, memory_order_relaxed) &
			       ~FAMILY_ROOT);
}

/* Whether t or somebody above it is cancelled, and no canceller is at work any more. By t. */
bool weft__family_cancelled(struct worker *w, struct task *t);

/* Enters the list: t, a fork that is not REACHED, and that runs on w. */
void weft__family_enter(struct worker *w, struct task *t);

/* Leaves it. By t, at its end. */
void weft__family_leave(struct task *t);

/* Whether that is to be called. By t. */
static inline bool family_listed(struct task *t)
{
	/* relaxed: t's own. */
	return t->flags & TASK_FORK &&
	       atomic_load_explicit(&t->cancel, memory_order_relaxed) & CANCEL_REACHED;
}

/* The lock of a root's family. */
void weft__family_lock(struct task *root);
void weft__family_unlock(struct task *root);

#endif
