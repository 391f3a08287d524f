/* SPDX-License-Identifier: MIT */
/* What a sleeping worker does that watches the others: see watch.c. */
#ifndef WEFT_CORE_WATCH_H
#define WEFT_CORE_WATCH_H

#include "worker.h"

#define WATCH_NS     ((int64_t)100000) /* after how long without a pick a slot is taken */
#define WATCH_MAX_NS ((int64_t)800000) /* the longest nap, while the owners pick */

/* What a watcher saw at its last look: a filled slot, or a deque that is not empty, and its owner's
 * count of picks. */
struct watch {
	struct worker *owner; /* NULL: it saw none */
	bool stuck; /* the owner has made no pick since, and what is in its deque can be stolen */
	uint32_t picks;
	uint32_t all_picks; /* of all workers */
	bool moved;         /* somebody has picked since the look before */
};

/* The task of the slot watched, if its owner has made no pick since; else NULL, and another worker
 * is watched. */
struct task *weft__watch(struct worker *w, struct watch *watch);

/* A slot that is filled from now on wakes a new watcher; the caller looks once more for one filled
 * before. */
void weft__watch_stop(struct weft_runtime *rt);

#endif
