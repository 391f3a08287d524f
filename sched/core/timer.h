/* SPDX-License-Identifier: MIT */
/*
 * Deadlines of waits. Each worker has a red-black tree under a lock, and publishes the tree's
 * earliest deadline. timer.c says why a tree. The nodes lie in the frames of the waiters, so arming
 * cannot fail.
 *
 * A tree stays in its worker's record, which outlives the worker. Every worker expires the
 * deadlines of every record.
 *
 *                      arm                    disarm          pop
 *   steps, at most     3 log2(n + 1)          4 log2(n + 1)   4 log2(n + 1)
 *   amortised          O(log n); O(1) for     O(1)            O(1)
 *                      the latest deadline
 *
 * n is the number of armed timers. The first row holds for each single call. So the lock is held
 * for a few microseconds at most, however many timers are armed.
 */
#ifndef WEFT_CORE_TIMER_H
#define WEFT_CORE_TIMER_H

#include "src/base/lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;
struct weft_runtime;

enum timer_side { TIMER_EARLIER, TIMER_LATER };

struct timer {
	int64_t deadline;      /* immutable while armed */
	struct timers *timers; /* immutable while armed; NULL: not armed */

	/* under timers->lock */
	struct timer *parent;   /* NULL: the root */
	struct timer *child[2]; /* by enum timer_side; an equal deadline counts as later */
	bool red;               /* its colour in the tree (timer.c) */
	bool queued;            /* it is in the tree */
};

struct timers {
	_Alignas(64) _Atomic int64_t earliest; /* WEFT_FOREVER: none (under lock; anyone reads) */
	struct weft__lock lock;
	struct timer *root;    /* under lock */
	struct timer *ends[2]; /* under lock: the first and the last in time */
};

void weft__timers_init(struct timers *timers);

/* Arms t. By the worker that owns the tree. Timers with equal deadlines fire in the order in which
 * they were armed. */
void weft__timer_arm(struct timers *timers, struct timer *t, int64_t deadline);

/* Takes an armed t out, if it is still in the tree. After the return no other thread looks at t. */
void weft__timer_disarm(struct timer *t);

/* Takes out the earliest timer and returns it, if its deadline is not after now. Otherwise returns
 * NULL. The caller holds the lock. */
struct timer *weft__timers_pop_locked(struct timers *timers, int64_t now);

#endif
