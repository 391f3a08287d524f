/* SPDX-License-Identifier: MIT */
/*
 * The timekeeper: a thread of each runtime that keeps the time while no worker sleeps
 * (timekeeper.c).
 */
#ifndef WEFT_CORE_TIMEKEEPER_H
#define WEFT_CORE_TIMEKEEPER_H

#include "src/base/atomic.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct weft_runtime;
struct worker;

/* After a refusal, how long until the thread is tried again. */
#define WEFT__TIMEKEEPER_RETRY_NS ((int64_t)100000000)

/*
 *         start()          weft__timekeeper_end()
 *   NONE ─────────► RUNS ─────────────────────────► ENDS
 *                   │  ▲
 *    start() fails  │  │  start(), after a while
 *                   ▼  │
 *                 REFUSED
 *
 * In virtual time the state is ENDS from the beginning.
 */
enum timekeeper_state {
	TIMEKEEPER_NONE,    /* was not needed so far */
	TIMEKEEPER_RUNS,    /* the thread runs, or is being started */
	TIMEKEEPER_REFUSED, /* the thread could not be started; it is tried again */
	TIMEKEEPER_ENDS,    /* the thread must end, or there will be none */
};

struct timekeeper {
	/* When it looks at the deadlines next. WEFT_FOREVER: once it is engaged. INT64_MIN: there
	 * is no timekeeper, or it is about to look. Any worker lowers it; the timekeeper raises
	 * it. */
	_Atomic int64_t until;
	/* In REFUSED: no attempt before that (a leader; any worker reads). */
	_Atomic int64_t retry_at;
	_Atomic uint32_t told;  /* futex; counts the messages to it */
	_Atomic uint32_t state; /* enum timekeeper_state (a leader; the runtime's end) */
	pthread_t thread;       /* used by the leader that starts it, then by the runtime's end */
};

/* Whether there is a timekeeper. Without one nobody notices that a deadline has passed while all
 * workers compute. */
static inline bool timekeeper_is_there(const struct timekeeper *tk)
{
	/* relaxed: what it is about to look at, another worker may look at as well. */
	return load_relaxed(&tk->until) != INT64_MIN;
}

void weft__timekeeper_init(struct weft_runtime *rt);

/* Makes the timekeeper look at the deadlines at that time. Called after a deadline was armed, or
 * found, that nobody keeps. w: the caller's worker. */
void weft__timekeeper_engage(struct worker *w, int64_t deadline);

/* Ends the timekeeper. Call it after all workers have ended. */
void weft__timekeeper_end(struct weft_runtime *rt);

#endif
