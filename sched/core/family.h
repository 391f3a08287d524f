/* SPDX-License-Identifier: MIT */
/*
 * Families: how a cancellation reaches structured children. The root of a family is a task that is
 * no fork. The members of the family are the root's forks, the forks of these, and so on.
 * Cancelling a task also cancels all members below it, at once, wherever the task itself is: in a
 * mutex, in a blocking call or in a masked region.
 *
 * The problem. A fork costs some nanoseconds, so no list of all forks can be kept.
 *
 * The design. A fork knows its parent, which costs one store. A fork is cancelled if it or a task
 * above it is cancelled, so weft_cancelled() looks at the tasks above. Only a fork that waits must
 * be woken by a canceller. Such a fork enters the list of its family, once in its life.
 *
 *   struct task.cancel   REQUESTED   the task is cancelled; sticky
 *                        BUSY        of a root: the family's lock. Of a fork: a canceller works on
 *                                    it, under that lock
 *                        REACHED     every request for a task above is set in this word too. A root
 *                                    has it from the start, a fork from its entry
 *   struct task.family   of a fork: its parent, immutable. Of a root: the list, tagged, under BUSY
 *
 * Invariants.
 *  1. A fork is in its family's list from the moment when it has set REACHED until its end. It
 *     lives while it is in the list, because it needs the lock to leave the list.
 *  2. A request for a task is set under the family's lock, in the task's word and in the words of
 *     all listed forks below it. A fork that enters looks, under the lock, at the tasks above it,
 *     up to the first one that is REACHED. It takes over each request that it finds there. So under
 *     the lock a REACHED task's own word says whether the task is cancelled.
 *  3. The tasks above a fork live as long as the fork does, because they must join it, directly or
 *     not.
 *  4. A canceller touches a family only under the family's lock, except for waits that it has
 *     claimed and not yet woken. No member that learns of a request ends before the canceller has
 *     given the lock back. There are two ways to learn of it. weft_cancelled() waits until the task
 *     at which it has found the request is no longer BUSY. Then it waits for the root's BUSY, which
 *     it is sure to see only after the first wait. A fork whose wait was ended is in the list, and
 *     needs the lock to leave it. So all of these tasks exist as long as the canceller is at work.
 *  5. The order of the locks: a group's, then a root's, then a fork's BUSY or a branch's. A thread
 *     may hold the locks of several roots only under their group's lock. Nobody waits for anything
 *     else while it holds one of them.
 *
 *   a fork that waits (wait.c)                   a canceller of a task above
 *     store waiting
 *     lock; look at the tasks above;               lock; store REQUESTED above
 *       enter the list; unlock                     for each in the list: store REQUESTED
 *     load its REQUESTED                           heavy fence; load its waiting
 *
 * The side that has the lock first is seen by the other:
 *
 *  (a) The fork is first. The canceller finds it in the list, and finds its `waiting`, which the
 *      unlock has published.
 *  (b) The canceller is first. The fork finds the request above it, and takes its wait back.
 *
 * After its entry the fork's waits are like every task's: see cancel_show().
 *
 * Rejected: each fork that waits looks at all tasks above it and keeps no entry. A fork that waits
 * a thousand times would take the lock a thousand times.
 *
 * Rejected: each parent has a list of its own forks, and is itself found in its parent's list. A
 * fork that waits would need to enter all tasks above it.
 */
#ifndef WEFT_CORE_FAMILY_H
#define WEFT_CORE_FAMILY_H

#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/lock.h"
#include "task.h"

struct branch;

/* An entry of a family's list. */
struct kin {
	struct kin *next, *prev; /* under the family's lock; prev is NULL in the first entry */
	/* Constant while the entry is in the list. NULL in the entry of a fork. In that of a branch
	 * it cancels what the branch stands for, holds further branches by that, and puts these
	 * into the list `held`. */
	void (*reach)(struct branch *b, struct branch **held);
};

/* A fork: a task, and the parts that only forks have. It lies in the storage of weft_forked. */
struct fork {
	struct task task;
	struct kin kin;
};

/*
 * A branch: something else that is cancelled with a task, which is the branch's owner. A group is a
 * branch while tasks of the group run. Its owner is the task that has begun it. A branch is in the
 * list of its owner's family.
 *
 * A canceller must not call into a higher layer under the family's lock. And the tasks of a group
 * may have branches of their own, and so on. So the canceller holds the branches that it finds,
 * under the lock: it marks them as held. It reaches them one after the other after it has given the
 * lock back. A thread that takes a branch out of the list waits until no canceller holds the
 * branch, before the branch's memory goes.
 *
 * The owner may end first. It then takes out all its branches, and they have no owner any more. The
 * branch's lock is for that case. It keeps the owner in existence for the thread that takes the
 * branch out. It comes after the family's lock.
 */
struct branch {
	struct kin kin;
	struct weft__lock lock;
	_Atomic uint32_t held; /* 1: set under the family's lock; 0: by the canceller that set it */
	struct task *owner;    /* written under both locks, read under either; NULL: in no list */
	struct branch *next;   /* owned by the canceller that holds it */
};

static_assert(sizeof(struct fork) <= sizeof(weft_forked), "a fork fits its public storage");
static_assert(alignof(struct fork) <= alignof(weft_forked), "a fork fits its public storage");

/* Returns the parent of a fork, or NULL if t is a root. t must be alive. */
static inline struct task *family_parent(struct task *t)
{
	/* relaxed: it is immutable in a fork. Of a root only the tag is read here. */
	uintptr_t family = load_relaxed(&t->family);

	return family & FAMILY_ROOT ? NULL : (struct task *)family;
}

struct task *weft__family_root(struct task *t);

/* Returns the first entry of the root's list. The caller holds the family's lock. */
static inline struct kin *family_first(struct task *root)
{
	/* relaxed: under the lock. */
	return (struct kin *)(load_relaxed(&root->family) & ~FAMILY_ROOT);
}

static inline struct fork *fork_of_kin(struct kin *kin)
{
	return container_of(kin, struct fork, kin);
}

/*
 * Returns whether t or a task above it is cancelled. If so, no canceller is at work on it any more.
 * Only t may call it.
 *
 * @looks_at_clock  cancels a scope now if its deadline has passed and nobody keeps that deadline.
 */
bool weft__family_cancelled(struct worker *w, struct task *t, bool looks_at_clock);

/* Returns whether a task above t is cancelled. The caller holds the family's lock. */
bool weft__family_requested_above(struct task *t);

/* Enters t into its family's list. t is a fork that is not REACHED and that runs on w. */
void weft__family_enter(struct worker *w, struct task *t);

/* Takes t and its branches out of the list. Only t may call it, at its end. */
void weft__family_leave(struct task *t);

/* Returns whether t must call weft__family_leave(). Only t may ask. */
static inline bool family_listed(struct task *t)
{
	/* relaxed: t has set it itself. */
	return t->flags & TASK_BRANCHES ||
	       (t->flags & TASK_FORK && load_relaxed(&t->cancel) & CANCEL_REACHED);
}

/* Call it before t, which runs on w, owns its first branch. */
void weft__family_branches(struct worker *w, struct task *t);

/*
 * Puts a branch into the list of t's family. t has called weft__family_branches(). The caller is t,
 * or a task below t. Returns whether t is cancelled already.
 */
bool weft__branch_enter(struct branch *b, struct task *t);

/* Takes the branch out of its list, if it is in one. Nobody may put it in meanwhile. */
void weft__branch_leave(struct branch *b);

/* Waits until no canceller looks at a branch that was taken out. None will look afterwards. The
 * caller must not hold a lock that b->kin.reach() takes. */
void weft__branch_await(struct branch *b);

/* Reaches the held branches, and those that this makes it hold in turn. Stays: b->kin.reach() does
 * not wait. */
WEFT__STAYS void weft__reach_branches(struct branch *held);

/* Take and release the lock of a root's family. */
void weft__family_lock(struct task *root);
void weft__family_unlock(struct task *root);

#endif
