/* SPDX-License-Identifier: MIT */
/* The watcher: a worker that watches the next slots of others (watch.c). */
#ifndef WEFT_CORE_WATCH_H
#define WEFT_CORE_WATCH_H

#include "worker.h"

#define WATCH_NS     ((int64_t)100000) /* a slot whose owner has not picked for so long is raided */
#define WATCH_MAX_NS ((int64_t)800000) /* the longest nap, while the owners pick */

/* What a watcher saw at its last look. What it saw of a worker is in that worker
 * (.watched_since). */
struct watch {
	bool filled; /* a slot was filled, or a deque was not empty */
	bool stuck;  /* an owner has not picked for WATCH_NS, and its deque can be stolen from */
	bool moved;  /* a worker has picked since the previous look */
	uint32_t all_picks; /* the picks of all workers */
};

/* Looks at all other workers. Returns the task of a slot whose owner has not picked for WATCH_NS,
 * or NULL. */
struct task *weft__watch(struct worker *w, struct watch *watch);

/* As weft__watch(), for a searcher, between its looks for other work. Does nothing if another
 * worker watches, or WATCH_NS has not passed since its last look. now: the current time. */
struct task *weft__watch_between(struct worker *w, int64_t now);

/* Ends the watch. A slot that is filled from now on wakes a new watcher. The caller must look once
 * more for a slot that was filled before. */
void weft__watch_stop(struct weft_runtime *rt);

#endif
