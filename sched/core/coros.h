/* SPDX-License-Identifier: MIT */
/* The coroutines that a worker keeps: see coros.c. */
#ifndef WEFT_CORE_COROS_H
#define WEFT_CORE_COROS_H

#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"

#include <assert.h>
#include <stdbool.h>

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

/* Begins the depot's first window, and announces the deadline by which the depot must be tended. */
void weft__depot_begins(struct worker *w);

/* Keeps a coroutine that has no task any more. The worker keeps at most two chains of them, and the
 * depot takes the rest. */
void weft__keep_coro(struct worker *w, struct coro *co);

/* Keeps it where there is room in the first chain. */
static inline void link_coro(struct worker *w, struct coro *co)
{
	co->cool = false;
	co->next = w->coros.first;
	w->coros.first = co;
	w->coros.count++;
}

/* fetch_ahead() fetches so many bytes from the beginning of a coroutine's header, and so many bytes
 * of the frames below the header. */
#define AHEAD_HEADER 192
#define AHEAD_FRAMES 768

/*
 * Prefetches the memory that the next coroutine will touch when it starts, while this one starts.
 * It does so for coroutines from the depot. Each lies in pages of its own, and was last used by a
 * task that ended long ago. The prefetch includes the coroutine's link, so the same can be done for
 * the one after it.
 */
static inline void fetch_ahead(struct worker *w)
{
	const char *header = (const char *)w->coros.first;

	if (likely(w->coros.count >= w->coros.cold))
		return;
	w->coros.cold = w->coros.count;
	if (!header)
		return;
	for (int at = -AHEAD_FRAMES; at < AHEAD_HEADER; at += 64)
		__builtin_prefetch(header + at, 1);
}

#endif
