/* SPDX-License-Identifier: MIT */
/* What a worker does that watches the others: see watch.c. */
#ifndef WEFT_CORE_WATCH_H
#define WEFT_CORE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

struct task;
struct weft_runtime;
struct worker;

#define WATCH_NS     ((int64_t)100000) /* after how long without a pick a slot is taken */
#define WATCH_MAX_NS ((int64_t)800000) /* the longest nap, while the owners pick */

/* What a watcher saw at its last look. What it saw of each worker is there (.watched). */
struct watch {
	uint32_t round; /* of looks, from 1 */
	bool filled;    /* a slot was filled, or a deque not empty */
	/* an owner has made no pick since the look before, and what is in its deque can be
	 * stolen */
	bool stuck;
	bool moved;         /* somebody has picked since */
	uint32_t all_picks; /* of all workers */
};

/* Looks at all the others: the task of a slot whose owner has made no pick since the last look, or
 * NULL. */
struct task *weft__watch(struct worker *w, struct watch *watch);

/* As weft__watch(), for one that searches on and on, at most once in WATCH_NS: it becomes the
 * watcher, unless there is one, until it stops searching. now: the time. */
struct task *weft__watch_on_and_on(struct worker *w, int64_t now);

/* A slot that is filled from now on wakes a new watcher; the caller looks once more for one filled
 * before. */
void weft__watch_stop(struct weft_runtime *rt);

#endif
