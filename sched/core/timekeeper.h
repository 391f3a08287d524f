/* SPDX-License-Identifier: MIT */
/*
 * The timekeeper: a thread of each runtime that keeps time while no worker sleeps.
 */
#ifndef WEFT_CORE_TIMEKEEPER_H
#define WEFT_CORE_TIMEKEEPER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct weft_runtime;
struct worker;

/* How long a refused thread is not tried again. */
#define WEFT__TIMEKEEPER_RETRY_NS ((int64_t)100000000)

enum timekeeper_state {
	TIMEKEEPER_NONE,    /* not needed so far */
	TIMEKEEPER_RUNS,    /* or is being started */
	TIMEKEEPER_REFUSED, /* could not be started; it is tried again */
	TIMEKEEPER_ENDS,    /* is to end, or there will be none */
};

struct timekeeper {
	/* When it looks at the deadlines next; WEFT_FOREVER: once it is engaged; INT64_MIN: there is
	 * no timekeeper, or it is about to look. (any worker lowers it; the timekeeper raises it) */
	_Atomic int64_t until;
	_Atomic int64_t retry_at; /* REFUSED: not before that (a leader; any worker reads) */
	_Atomic uint32_t told;    /* counts what it is told (futex) */
	_Atomic uint32_t state;   /* enum timekeeper_state (a leader; the runtime's end) */
	pthread_t thread;         /* of the leader that starts it; then of the runtime's end */
};

/* Whether there is one. Without it nobody notices that a deadline has passed while all workers compute. */
static inline bool timekeeper_is_there(const struct timekeeper *tk)
{
	/* relaxed: what it is about to look at somebody else may look at as well. */
	return atomic_load_explicit(&tk->until, memory_order_relaxed) != INT64_MIN;
}

void weft__timekeeper_init(struct weft_runtime *rt);

/* Sees to it that the timekeeper looks at the deadlines at that time. After a deadline was armed,
 * or found, that nobody keeps; w: the caller's worker. */
void weft__timekeeper_engage(struct worker *w, int64_t deadline);

/* Ends it. After all workers have ended. */
void weft__timekeeper_end(struct weft_runtime *rt);

#endif
