/* SPDX-License-Identifier: MIT */
/*
 * Deadlines of waits: a pairing heap per worker, under a lock, its earliest deadline published
 * (Fredman, Sedgewick, Sleator, Tarjan: The pairing heap, 1986). The nodes lie in the waiters'
 * frames, so arming cannot fail; it takes constant time, taking out amortised logarithmic time. An
 * array heap would need memory at the moment of waiting.
 *
 * A heap stays in its worker's record, which outlives the worker: every worker expires the
 * deadlines of every record.
 */
#ifndef WEFT_CORE_TIMER_H
#define WEFT_CORE_TIMER_H

#include "src/lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;
struct weft_runtime;

struct timer {
	int64_t deadline;      /* immutable while armed */
	struct timers *timers; /* immutable while armed; NULL: not armed */

	/* under timers->lock */
	struct timer *child;   /* the first of its children */
	struct timer *sibling; /* the next child of its parent */
	struct timer
		*back; /* the previous sibling or, of a first child, the parent; NULL: the root */
	bool queued;   /* in the heap */
};

struct timers {
	_Alignas(64) _Atomic int64_t earliest; /* WEFT_FOREVER: none (under lock; anyone reads) */
	struct weft__lock lock;
	struct timer *root; /* under lock */
};

void weft__timers_init(struct timers *timers);

/* Adds t. By the worker that owns the heap. */
void weft__timer_arm(struct timers *timers, struct timer *t, int64_t deadline);

/* Takes an armed t out, if it still is in. After the return no other thread looks at t. */
void weft__timer_disarm(struct timer *t);

/* The earliest one if its deadline is not after now, taken out; else NULL. The caller holds the
 * lock. */
struct timer *weft__timers_pop_locked(struct timers *timers, int64_t now);

#endif
