/* SPDX-License-Identifier: MIT */
/*
 * Scopes: a part of a task that can be cancelled without the rest of it.
 *
 * The problem. What a scope cancels are the waits of its task, the forks that are made in it, and the
 * groups that are begun in it. A fork costs some nanoseconds and a wait some ten. Neither may pay for
 * scopes that are not there.
 *
 * The design. A scope is like a fork that has begun to run as a call (fork.c), only that there is no
 * call: it is a struct task, in the caller's memory, which is what the worker runs from
 * weft_scope_begin() to weft_scope_end(). Its parent is the task, or the scope around it. So:
 *
 *   - The waits in the scope are the scope's. They are watched by its word `cancel`.
 *   - What is forked in the scope has the scope for a parent, hence is below it in its family.
 *   - A group that is begun in the scope has the scope for an owner.
 *
 * A cancellation of the scope is one of a fork, and so are its races: family.h. Nobody who makes a
 * fork, or waits, looks whether there is a scope.
 *
 * What makes the task a task is handed over at the begin, and back at the end:
 *
 *   copied      the function, argument, runtime, pin, name, stack size, membership in a group, and
 *               the identity: the scope unlocks what its task has locked
 *   copied      the depth of masked regions, and the task-local values, which may have changed at
 *   and back    the end; and `home`, which tells frames below that they have hopped
 *   its own     cancel, waiting, park, coro, link: what a queue or a canceller looks at
 *   the task's  join: the handle is the task's, and weft_self() looks for it
 *
 * While the scope is open the task's flags say so, at which its end looks anyway. A task that returns in
 * it aborts.
 *
 * Deadlines. To arm one takes a lock, to begin a scope must not. So a deadline is kept only from when
 * somebody waits who could be cancelled by it: the first that enters the family's list at or below
 * the scope, the scope's own task, a fork, or a group, arms it in the tree of its worker. Until then
 * the scope is CANCEL_TIMED, and weft_cancelled() looks at the clock if it meets one above it. The
 * tree's node is in the scope, so arming cannot fail.
 *
 * These trees are not those of the waits (worker.h): weft_cancelled() looks into them while something
 * is due. So members of a group that compute on all workers learn of the deadline.
 *
 * Invariants.
 *  1. Whoever is listed at or below a scope has a scope whose deadline is armed, or is cancelled by
 *     it, or was. CANCEL_TIMED is taken off under the family's lock.
 *  2. The scope's memory is there as long as somebody looks at it. To take its node out of the tree
 *     and to mark it `firing` is one step, under the tree's lock. The end of the scope takes the node
 *     out, or finds it taken; then it waits until `firing` is over. With cancellers it is as with
 *     those of a fork.
 *  3. `timed_out` is stored before the request that it explains, by whoever makes it, and read after
 *     one was seen.
 *  4. The lock of a tree comes after the family's lock; nothing is locked under it.
 *
 *   who cancels at the deadline              the end of the scope
 *     tree's lock: take the node out;          tree's lock: take the node out, if it is in
 *       firing = true                          wait until not firing
 *     family's lock: request, claim            look at its own word, and above it
 *     firing = false                           family's lock: leave the list, if it is in
 *     wake
 *
 * Plain threads. There is no task, so the outermost scope is a root, and the innermost one is in a
 * thread-local variable. A thread's wait is watched by that scope as a task's is by its own (wait.c). The
 * deadline is the futex's: nothing is armed, and the thread cancels its own scope. A thread's waits
 * are never lone, so their wakers claim them, which costs little beside the futex. What is forked on
 * a thread runs there, at once.
 *
 * (Rejected: a pointer to the innermost scope in each task, which a fork takes over. That is a load
 * and a store for each fork. Rejected: a list of scopes in the task. A canceller from above would
 * need to hold it still.)
 */
#ifndef WEFT_CORE_SCOPE_H
#define WEFT_CORE_SCOPE_H

#include "family.h"
#include "identity.h"

#include <weft/scope.h>

struct scope {
	struct fork fork;    /* first: a scope is in the list of its family as a fork is */
	struct timer timer;  /* armed under the family's lock, once; .timers NULL: not armed */
	int64_t deadline;    /* immutable */
	int64_t limit;       /* immutable: the earliest one of it and the scopes around it */
	_Atomic bool firing; /* somebody who has taken .timer out of its tree looks at the scope */
	bool timed_out;      /* before the request: its deadline has made it (invariant 3) */
	_Atomic uint64_t number; /* 0: no group was begun in it (its task; those below it read) */
} __attribute__((may_alias));    /* the same memory as a caller's weft_scope */

static_assert(sizeof(struct scope) <= sizeof(weft_scope), "a scope fits its public storage");
static_assert(alignof(struct scope) <= alignof(weft_scope), "a scope fits its public storage");

static inline struct scope *scope_of_task(struct task *t)
{
	return (struct scope *)t;
}

/* The innermost scope of the calling thread, which is no worker, unless that has masked its waits;
 * else NULL. */
static inline struct scope *thread_scope(void)
{
	const struct thread_scopes *scopes = weft__thread_scopes();

	return scopes->mask == 0 ? scopes->innermost : NULL;
}

/* Of the calling thread's open scopes the one whose deadline comes first; NULL: none has one. */
struct scope *weft__thread_scope_to_end(void);

/* Whether the calling thread is in a scope that is cancelled. Looks at the clock. */
bool weft__thread_cancelled(void);

/* weft_scope_begin() and weft_scope_end() on a thread that is no worker. */
void weft__thread_scope_begin(struct scope *s, int64_t deadline);
int weft__thread_scope_end(struct scope *s);

/* Aborts: the scope is not what the call needs. */
_Noreturn void weft__scope_misuse(const char *call, const void *scope, const char *what);

/* By a thread of ours that has run a function of the program: no scope is open, and nothing masked. */
void weft__thread_scope_check(void);

/* The task in whose scope t is; t itself if it is no scope. */
static inline struct task *task_outside_scopes(struct task *t)
{
	while (t->flags & TASK_SCOPE)
		t = family_parent(t);
	return t;
}

/* What stands for t where it owns groups: for a scope not its identity, which is its task's. Never
 * given twice. 0: it owns none. */
static inline uint64_t family_number(struct task *t)
{
	/* relaxed, both: a number publishes nothing. */
	return t->flags & TASK_SCOPE
		       ? atomic_load_explicit(&scope_of_task(t)->number, memory_order_relaxed)
		       : atomic_load_explicit(&t->identity, memory_order_relaxed);
}

/* The same, and gives it one if it has none. By t. */
uint64_t weft__family_number(struct task *t);

/* Whether the deadline of t, or of a scope above it up to the first that is CANCEL_REACHED, has
 * passed, and is kept by nobody. By t. */
bool weft__scope_is_late(struct task *t);

/*
 * t, which runs on w, is about to enter the list of its family, whose lock the caller has, and a is t
 * or above it, and CANCEL_TIMED. Arms the deadline of a. If it has passed, cancels a instead: true.
 */
bool weft__scope_keep(struct worker *w, struct task *a);

/* Cancels a scope whose deadline has passed, and that is `firing`. */
void weft__scope_time_out(struct scope *s);

/* Cancels the scopes whose deadlines have passed, of all workers. By w. Does not suspend. */
void weft__scopes_expire(struct worker *w);

/* The same for those that one worker has armed. */
void weft__scopes_expire_of(struct worker *w, struct timers *scopes, int64_t now);

#endif
