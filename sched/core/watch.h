/* SPDX-License-Identifier: MIT */
/* What a worker does that watches the others: see watch.c. */
#ifndef WEFT_CORE_WATCH_H
#define WEFT_CORE_WATCH_H

#include "worker.h"

#define WATCH_NS     ((int64_t)100000) /* after how long without a pick a slot is taken */
#define WATCH_MAX_NS ((int64_t)800000) /* the longest nap, while the owners pick */

/* What a watcher saw at its last look. What it saw of each worker is there (.watched_since). */
struct watch {
	bool filled; /* a slot was filled, or a deque not empty */
	bool stuck;  /* an owner has made no pick for WATCH_NS, and its deque can be stolen from */
	bool moved;  /* somebody has picked since the look before */
	uint32_t all_picks; /* of all workers */
};

/* Looks at all the others: the task of a slot whose owner has made no pick for WATCH_NS, or NULL. */
struct task *weft__watch(struct worker *w, struct watch *watch);

/* As weft__watch(), for a searcher, between its looks for other work: at most once in WATCH_NS, and
 * unless somebody watches. now: the time. */
struct task *weft__watch_between(struct worker *w, int64_t now);

/* A slot that is filled from now on wakes a new watcher; the caller looks once more for one filled
 * before. */
void weft__watch_stop(struct weft_runtime *rt);

#endif
