/* SPDX-License-Identifier: MIT */
/* Waking workers: see rouse.c. */
#ifndef WEFT_CORE_ROUSE_H
#define WEFT_CORE_ROUSE_H

#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/fence.h"

#include <stdbool.h>

/* Gives t to a sleeping worker and wakes it, if nobody searches. Returns false if t is still the
 * caller's. */
bool weft__hand_to_sleeper(struct weft_runtime *rt, struct task *t);

/* Wakes a worker if one is needed, after a worker made a task visible. Fences lightly. */
void weft__announce(struct weft_runtime *rt);

static inline void announce(struct weft_runtime *rt)
{
	weft__fence_light(); /* store-load race with weft__sleep(): see idle.c */
	/* relaxed: the fences order. */
	if (load_relaxed(&rt->idle) != 0)
		weft__announce(rt);
}

/* Wakes the worker that went to sleep last. With `searchers_do` it wakes nobody if a worker
 * searches already. Returns false if no worker sleeps, and none searches that would do. */
bool weft__wake_one(struct weft_runtime *rt, bool searchers_do, bool to_watch);

/* Wakes a worker, which becomes the keeper. If that worker gets something else to do, the last
 * searcher looks for deadlines. */
bool weft__wake_to_keep(struct weft_runtime *rt);

/* Wakes a worker to search, unless one searches already. Returns false if no worker sleeps or
 * searches. */
bool weft__wake_searcher(struct weft_runtime *rt);

/* Wakes a watcher if one is needed, after a next slot was filled or a task was put into an empty
 * deque. */
void weft__announce_slot(struct weft_runtime *rt);

/* Tells the sleepers of a deadline. After w armed or set one, before w runs something. */
void weft__announce_timer(struct worker *w);

/* Wakes a worker if one is needed for an unstarted task that was put into w's deque (rouse.c). */
void weft__announce_start(struct worker *w);

/* Calls weft__announce_start() if runtime.idle says that nobody searches. */
void weft__announce_start_if_unsearched(struct worker *w);

/* Wakes w, after something was put into its inbox or its state was changed. Any thread. */
void weft__nudge(struct worker *w);

/* Wakes all workers. */
void weft__wake_all(struct weft_runtime *rt);

/* Takes the task that a plain thread has handed to a sleeping worker (rouse.c), or returns NULL.
 * The owner calls it once it is awake. Searchers call it too, because the owner's thread may have
 * to wait for a processor. */
static inline struct task *from_hand(struct worker *owner)
{
	/* relaxed: a hint for searchers. The owner sees it by its state. */
	if (!load_relaxed(&owner->sleep.handed))
		return NULL;
	/* acquire: sees the task, released by weft__hand_to_sleeper(). */
	return exchange_acquire(&owner->sleep.handed, NULL);
}

#endif
