/* SPDX-License-Identifier: MIT */
/*
 * What finding and stealing share.
 */
#ifndef WEFT_CORE_FIND_H
#define WEFT_CORE_FIND_H

#include "runtime.h"

/*
 * t, if it can run now. An unstarted task for which no stack can be had is put aside (starve.c),
 * and NULL returned. NULL as well if the pick is put off.
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

/* Whether a task of the common stack size can start. false as well if the pick is put off. */
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

/* What a plain thread has handed to a worker that slept (rouse.c). By the owner, once it is awake;
 * and by searchers, as its thread may have to wait for a processor. */
static inline struct task *from_hand(struct worker *owner)
{
	/* relaxed: a hint for searchers; the owner has seen it by .awake. */
	if (!atomic_load_explicit(&owner->handed, memory_order_relaxed))
		return NULL;
	/* acquire: the task, released by weft__hand_to_sleeper(). */
	return atomic_exchange_explicit(&owner->handed, NULL, memory_order_acquire);
}

/* Takes something of another worker's that w can run, and perhaps more for its own queues; NULL:
 * none has any, or w spares the rings (worker.h). */
struct task *weft__steal(struct worker *w);

#endif
