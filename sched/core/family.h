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
 *     the lock back: weft_cancelled() waits for the BUSY of the task at which it has found the
 *     request, and then for the root's, which it may see only by that; and a fork whose wait was
 *     ended is in the list, which it needs the lock to leave. So all of them are there as long as
 *     the canceller is at work.
 *  5. Of locks: a group's before a root's before a fork's BUSY or a branch's; and several roots only
 *     under their group's. Nobody waits for anything else under them.
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

#include "src/lock.h"
#include "task.h"

struct branch;

/* What is in a family's list. Under the family's lock. */
struct kin {
	struct kin *next, *prev; /* prev NULL: the first one */
	/* NULL: it is a fork's. Else of a branch: cancels what it stands for. Puts the branches that
	 * it has pinned by that into the list. */
	void (*reach)(struct branch *b, struct branch **pinned);
};

/* A fork, with what only forks have. The storage of weft_forked. */
struct fork {
	struct task task;
	struct kin kin;
};

/*
 * A branch: what else is cancelled with a task, its owner. A group is one, of the task that has
 * begun it, while tasks of the group run. It is in the list of its owner's family.
 *
 * A canceller must not call into a higher layer under the family's lock, and the tasks of a group
 * may have branches of their own, and so on. So it pins the branches that it finds, under the lock,
 * and reaches them one after the other when it has given the lock back. Who takes a branch out of
 * the list waits until it is not pinned, before its memory goes.
 *
 * The owner may end first. Then it takes out all its branches, and they have no owner any more. The
 * branch's lock is for that: it keeps the owner there for who takes the branch out. It comes after
 * the family's lock.
 */
struct branch {
	struct kin kin;
	struct weft__lock lock;
	_Atomic uint32_t
		pinned;      /* 1, under the family's lock; 0 by the canceller that has pinned it */
	struct task *owner;  /* under the lock; NULL: it is in no list */
	struct branch *next; /* of who has pinned it */
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

/* The first one in the root's list. Under the lock. */
static inline struct kin *family_first(struct task *root)
{
	/* relaxed: under the lock. */
	return (struct kin *)(atomic_load_explicit(&root->family, memory_order_relaxed) &
			      ~FAMILY_ROOT);
}

static inline struct fork *fork_of_kin(struct kin *kin)
{
	return (struct fork *)((char *)kin - offsetof(struct fork, kin));
}

/*
 * Whether t or somebody above it is cancelled, and no canceller is at work any more. By t.
 *
 * @looks_at_clock  a scope is cancelled now if its deadline has passed and nobody keeps it.
 */
bool weft__family_cancelled(struct worker *w, struct task *t, bool looks_at_clock);

/* Whether somebody above t is cancelled. Under the lock. */
bool weft__family_requested_above(struct task *t);

/* Enters the list: t, a fork that is not REACHED, and that runs on w. */
void weft__family_enter(struct worker *w, struct task *t);

/* Leaves it, and takes t's branches out. By t, at its end. */
void weft__family_leave(struct task *t);

/* Whether that is to be called. By t. */
static inline bool family_listed(struct task *t)
{
	/* relaxed: t's own. */
	return t->flags & TASK_BRANCHES ||
	       (t->flags & TASK_FORK &&
		atomic_load_explicit(&t->cancel, memory_order_relaxed) & CANCEL_REACHED);
}

/* t, which runs on w, is about to own branches. */
void weft__family_branches(struct worker *w, struct task *t);

/*
 * Puts a branch into the list of t's family, where t has called weft__family_branches(). By t, or by
 * a task below it. Returns whether t is cancelled already.
 */
bool weft__branch_enter(struct branch *b, struct task *t);

/* Takes it out, if it is in. Nobody may put it in meanwhile. */
void weft__branch_leave(struct branch *b);

/* Waits until no canceller looks at a branch that was taken out; none will afterwards. Not under a lock
 * that b->kin.reach() takes. */
void weft__branch_await(struct branch *b);

/* Reaches what is pinned, and what is pinned by that. */
void weft__reach_branches(struct branch *pinned);

/* The lock of a root's family. */
void weft__family_lock(struct task *root);
void weft__family_unlock(struct task *root);

#endif
