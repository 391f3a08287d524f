/* SPDX-License-Identifier: MIT */
/*
 * Scopes: a part of a task that can be cancelled without the rest of the task.
 *
 * The problem. A scope cancels the waits of its task, the forks that are made in the scope, and the
 * groups that are begun in it. A fork costs some nanoseconds, and a wait costs some ten. Neither
 * may become slower where there is no scope.
 *
 * The design. A scope is like a fork that has begun to run as a call (fork.c), except that there is
 * no call. It is a struct task in the caller's memory. The worker runs that task from
 * weft_scope_begin() to weft_scope_end(). Its parent is the task, or the scope around it. So:
 *
 *   - The waits in the scope are the scope's. Its word `cancel` watches them.
 *   - A fork in the scope has the scope as its parent, so it is below the scope in its family.
 *   - A group that is begun in the scope has the scope as its owner.
 *
 * A cancellation of the scope is like one of a fork, and has the same races (family.h). Forks and
 * waits do not check whether there is a scope.
 *
 * The begin hands over the parts that make the task a task. The end hands them back:
 *
 *   copied      the function, argument, runtime, pin, name, stack size, membership in a group, and
 *               the identity: the scope unlocks what its task has locked
 *   copied      the depth of masked regions, and the task-local values, which may have changed at
 *   and back    the end; and `home`, which tells frames below that they have hopped
 *   its own     cancel, waiting, park, coro, link: what a queue or a canceller looks at
 *   the task's  join: the handle is the task's, and weft_self() looks for it
 *
 * While the scope is open the task's flags say it. The task's end looks at these flags anyway. A
 * task that returns inside a scope aborts.
 *
 * Deadlines. Arming a deadline takes a lock, which the begin of a scope must not do. So a deadline
 * is armed only when there is something waiting that it could cancel. This is the first one to
 * enter the family's list at or below the scope: the scope's own task, a fork, or a group. It arms
 * the deadline in the tree of its worker. Until then the scope is CANCEL_TIMED. weft_cancelled()
 * looks at the clock if it meets such a scope above it. The tree's node is in the scope, so arming
 * cannot fail.
 *
 * These trees are not those of the waits (worker.h). weft_cancelled() looks into them while
 * something is due. So members of a group that compute on all workers learn of the deadline.
 *
 * Invariants.
 *  1. If something is listed at or below a scope, then that scope's deadline is armed, or has been,
 *     or the scope is cancelled by it. CANCEL_TIMED is removed under the family's lock.
 *  2. The scope's memory exists as long as anybody looks at it. The tree's lock makes one step of
 *     two: taking the scope's node out of the tree, and marking the scope `firing`. The end of the
 *     scope takes the node out, or finds it taken. In the latter case it waits until `firing` is
 *     over. Cancellers are dealt with as for a fork.
 *  3. `timed_out` is stored before the request that it explains, by the same thread. It is read
 *     after that request was seen.
 *  4. The lock of a tree is taken after the family's lock. Nothing is locked under it.
 *
 *   the canceller at the deadline             the end of the scope
 *     tree's lock: take the node out;          tree's lock: take the node out, if it is in
 *       firing = true                          wait until not firing
 *     family's lock: request, claim            look at its own word, and above it
 *     firing = false                           family's lock: leave the list, if it is in
 *     wake
 *
 * Plain threads. There is no task, so the outermost scope is a root. The innermost one is in a
 * thread-local variable. That scope watches a thread's wait as a task's own word watches the task's
 * (wait.c). The futex waits for the deadline: nothing is armed, and the thread cancels its own
 * scope. A thread's waits are never lone. So their wakers claim them, which costs little beside the
 * futex. A fork on a thread runs there at once.
 *
 * Rejected designs.
 *   - A pointer to the innermost scope in each task, which a fork takes over. It costs a load and a
 *     store for each fork.
 *   - A list of scopes in the task. A canceller from above would need to hold it still.
 */
#ifndef WEFT_CORE_SCOPE_H
#define WEFT_CORE_SCOPE_H

#include "family.h"
#include "identity.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "tls.h"

#include <weft/scope.h>

struct scope {
	struct fork fork;    /* first: a scope is in its family's list as a fork is */
	struct timer timer;  /* armed once, under the family's lock; .timers NULL: not armed */
	int64_t deadline;    /* immutable */
	int64_t limit;       /* immutable: the earliest deadline of it and the scopes around it */
	_Atomic bool firing; /* a thread that took .timer out of its tree looks at the scope */
	/* Set before the request: its deadline made the request (invariant 3). */
	bool timed_out;
	_Atomic uint64_t number; /* 0: no group was begun in it (its task; those below it read) */
} __attribute__((may_alias));    /* the same memory as a caller's weft_scope */

static_assert(sizeof(struct scope) <= sizeof(weft_scope), "a scope fits its public storage");
static_assert(alignof(struct scope) <= alignof(weft_scope), "a scope fits its public storage");

static inline struct scope *scope_of_task(struct task *t)
{
	return (struct scope *)t;
}

/* The innermost scope of the calling thread, which is not a worker. NULL: no scope is open, or the
 * thread has masked its waits. */
static inline struct scope *thread_scope(void)
{
	const struct thread_scopes *scopes = weft__thread_scopes();

	return scopes->mask == 0 ? scopes->innermost : NULL;
}

/* The calling thread's open scope with the earliest deadline. NULL: no scope has a deadline. */
struct scope *weft__thread_scope_to_end(void);

/* Whether the calling thread is in a cancelled scope. Looks at the clock. */
bool weft__thread_cancelled(void);

/* weft_scope_begin() and weft_scope_end() on a thread that is not a worker. */
void weft__thread_scope_begin(struct scope *s, int64_t deadline);
int weft__thread_scope_end(struct scope *s);

/* Aborts because the call cannot be made on this scope. */
_Noreturn void weft__scope_misuse(const char *call, const void *scope, const char *what);

/* Aborts if a scope is still open, and clears the mask. By a thread of the library that has run a
 * function of the program. */
void weft__thread_scope_check(void);

/* The task in whose scope t is; t itself if t is not a scope. */
static inline struct task *task_outside_scopes(struct task *t)
{
	while (t->flags & TASK_SCOPE)
		t = family_parent(t);
	return t;
}

/* The number that stands for t as an owner of groups. A scope needs one of its own, as its identity
 * is its task's. No number is used twice. 0: t owns no groups. */
static inline uint64_t family_number(struct task *t)
{
	/* relaxed, both: a number publishes nothing. */
	return t->flags & TASK_SCOPE ? load_relaxed(&scope_of_task(t)->number)
				     : load_relaxed(&t->identity);
}

/* The same, but gives t a number if it has none. By t. */
uint64_t weft__family_number(struct task *t);

/* Whether a deadline has passed that nobody keeps. It looks at t and the scopes above t, up to the
 * first that is CANCEL_REACHED. By t. */
bool weft__scope_is_late(struct task *t);

/*
 * Arms the deadline of a. If it has passed, cancels a instead and returns true. t runs on w, and is
 * about to enter its family's list, whose lock the caller holds. a is t or above t, and
 * CANCEL_TIMED.
 */
bool weft__scope_keep(struct worker *w, struct task *a);

/* Cancels the scopes of all workers whose deadlines have passed. By w. Does not suspend. */
void weft__scopes_expire(struct worker *w);

/* The same for the scopes whose deadlines one worker has armed. */
void weft__scopes_expire_of(struct worker *w, struct timers *scopes, int64_t now);

/* t's function has returned inside an open scope. Aborts. */
_Noreturn void weft__end_in_scope(struct task *t);

/* Runs in the task, after its function. The caller may be on another worker afterwards. */
static inline WEFT__MAY_HOP void task_run_end(struct task *t)
{
	if (unlikely(t->flags & TASK_IN_SCOPE))
		weft__end_in_scope(t);
	if (unlikely(t->flags & TASK_ENDS))
		task_end(t)->run(t);
}

#endif
