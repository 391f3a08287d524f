/* SPDX-License-Identifier: MIT */
/*
 * The parts that finding and stealing share.
 */
#ifndef WEFT_CORE_FIND_H
#define WEFT_CORE_FIND_H

#include "runtime.h"
#include "src/base/atomic.h"

/*
 * Returns t if it can run now. If no stack can be had for an unstarted t, puts t aside (starve.c)
 * and returns NULL. If the pick is put off, returns NULL too.
 */
static inline struct task *startable(struct worker *w, struct task *t, enum stack_for stack)
{
	if (!t || t->coro || (stack == STACK_OWN && !task_reserve(t)))
		return t;
	if (stack == STACK_AT_HAND) {
		if (!task_reserve(t) && weft__coro_at_hand(w))
			return t;
		weft__put_off(w, t);
		return NULL;
	}
	if (weft__can_start_task(w, t))
		return t;
	weft__starved_put(w, t);
	return NULL;
}

/* Returns whether a task of the common stack size can start. If the pick is put off, returns false
 * too. */
static inline bool has_stack(struct worker *w, enum stack_for stack)
{
	if (stack == STACK_OWN || weft__coro_at_hand(w))
		return true;
	if (stack == STACK_AT_HAND) {
		weft__put_off(w, NULL);
		return false;
	}
	return weft__can_start(w);
}

/* Takes the task that a plain thread has handed to a sleeping worker (rouse.c), or returns NULL.
 * The owner calls it once it is awake. Searchers call it too, because the owner's thread may have
 * to wait for a processor. */
static inline struct task *from_hand(struct worker *owner)
{
	/* relaxed: a hint for searchers. The owner sees it by .awake. */
	if (!load_relaxed(&owner->handed))
		return NULL;
	/* acquire: sees the task, released by weft__hand_to_sleeper(). */
	return exchange_acquire(&owner->handed, NULL);
}

/* Steals a task that w can run, and perhaps more tasks for w's own queues. Returns NULL if no
 * worker has any, or if only rings have some and w leaves rings alone (.spares_rings). */
struct task *weft__steal(struct worker *w);

#endif
