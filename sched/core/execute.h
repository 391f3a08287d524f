/* SPDX-License-Identifier: MIT */
/* Running tasks: see execute.c. */
#ifndef WEFT_CORE_EXECUTE_H
#define WEFT_CORE_EXECUTE_H

#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"

#include <assert.h>
#include <stdbool.h>

/*
 * Suspends the task that runs on w, and runs `next`, or the leader if `next` is NULL. `fate` says
 * what becomes of the suspended task. Returns the worker that resumed it.
 */
WEFT__MAY_HOP WEFT__MUST_USE struct worker *weft__suspend(struct worker *w, enum fate fate,
							  struct task *next);

/* The same for a `next` that has not started. w must keep a coroutine for it. */
WEFT__MAY_HOP WEFT__MUST_USE struct worker *weft__suspend_to_start(struct worker *w, enum fate fate,
								   struct task *next);

/* Runs t on w. By w's leader; returns when something switches to the leader again. Stays: only w's
 * thread resumes its leader. */
WEFT__STAYS void weft__execute(struct worker *w, struct task *t);

/* Whether w keeps a coroutine for a task of the common stack size. The first function starts on w's
 * second chain, and returns true. */
bool weft__coro_at_hand_in_chain(struct worker *w);

static inline bool weft__coro_at_hand(struct worker *w)
{
	return w->coros.first || (w->coros.chain && weft__coro_at_hand_in_chain(w));
}

/* Asserts that slow work is allowed here. It is not allowed between the beginning of a wait and the
 * switch. There it would delay the waker for a moment, and the task until it is parked. */
static inline void weft__assert_may_be_slow(const struct worker *w)
{
	assert(w->outgoing.fate != FATE_PARK);
	/* A task that has ended is skipped: its memory may belong to another task already. */
	assert(!w->task || w->task == w->over || load_relaxed(&w->task->park) != PARK_SUSPENDING);
	(void)w;
}

/* Whether w can start a task of the common stack size. It has a stack ready, or gets one now. */
bool weft__can_start(struct worker *w);

/* Whether w can run t now. t has started, or gets a stack now. */
bool weft__can_start_task(struct worker *w, struct task *t);

/* Frees the coroutines that w keeps ready. */
void weft__drop_idle_coros(struct worker *w);

/* Moves w's second chain of coroutines, if any, to the depot, which may then have an earlier
 * deadline. w calls it before it sleeps, so that it keeps one chain at most. */
void weft__shed_coros(struct worker *w);

/* Frees the memory of the stacks that w keeps ready, except the pages that most tasks use. */
void weft__cool_coros(struct worker *w);

/* The bottom frame of every task's stack. */
WEFT__MAY_HOP void weft__task_main(void *value);

#endif
