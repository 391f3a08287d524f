/* SPDX-License-Identifier: MIT */
/* Searching and sleeping: see idle.c. */
#ifndef WEFT_CORE_IDLE_H
#define WEFT_CORE_IDLE_H

#include "runtime.h"
#include "src/base/atomic.h"

#include <stdbool.h>
#include <stdint.h>

/* The earliest of the deadlines that w has armed. */
static inline int64_t worker_earliest(struct worker *w)
{
	/* relaxed: a hint, or the caller's fence orders it. */
	int64_t wait = load_relaxed(&w->timers.earliest);
	int64_t scope = load_relaxed(&w->scopes.earliest);

	return wait < scope ? wait : scope;
}

/* The earliest deadline of all waits and scopes. */
int64_t weft__earliest_timer(struct weft_runtime *rt);

/* Whether w counts as a searcher. By w. */
static inline bool is_searching(const struct worker *w)
{
	/* relaxed: our own. */
	return load_relaxed(&w->sleep.state) == SEARCHING;
}

/* Makes w a searcher. Returns false if there are enough searchers already. */
bool weft__search_start(struct worker *w);

/* Ends w's search after it has found work. */
void weft__search_stop(struct worker *w);

/*
 * Going to sleep, by a leader whose queues are empty:
 *
 *   1. weft__sleep_announce() announces that w goes to sleep.
 *   2. The leader looks one last time for what was sent to w or injected.
 *   3. weft__sleep() sleeps if there was nothing, and returns the task to run, or NULL. Otherwise
 *      weft__get_up() ends the announcement.
 *
 * w is a searcher afterwards, unless it was handed a task (rouse.c).
 */
void weft__sleep_announce(struct worker *w);
struct task *weft__sleep(struct worker *w);
void weft__get_up(struct worker *w);

/* Does for the others what a worker that goes to sleep would do. Called before its thread ends. */
void weft__sign_off(struct worker *w);

#endif
