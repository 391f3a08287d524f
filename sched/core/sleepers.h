/* SPDX-License-Identifier: MIT */
/*
 * The list of sleepers, and what it has to do with `idle`, which counts them. What going to sleep
 * (park.c) and waking (rouse.c) share.
 *
 * A sleeping worker waits for `awake` to become 1. Whoever takes it off the list of sleepers (under
 * idle_lock) stores that, so each time on the list is ended by exactly one.
 *
 * A retiring worker looks for no work, so it does not count as a sleeper and is woken for none: it
 * is on the list for those who nudge it, and may be the keeper.
 */
#ifndef WEFT_CORE_SLEEPERS_H
#define WEFT_CORE_SLEEPERS_H

#include "runtime.h"

/*
 * What w counts as while it sleeps. One that retires would not look for work: it is woken by nudges
 * only, and by itself. (w->retires does not change while w is on the list.)
 */
static inline uint64_t as_sleeper(const struct worker *w)
{
	return w->retires ? 0 : SLEEPER;
}

static inline void push_sleeper_locked(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	w->sleep_next = rt->sleepers;
	rt->sleepers = w;
	atomic_store_explicit(&w->awake, 0, memory_order_relaxed);
	/* relaxed: nudge() reads it after its fence; our own follows. */
	atomic_store_explicit(&w->asleep, 1, memory_order_relaxed);
	/* It looks for what is due once it is on the list: see due.c. */
	uint64_t change = as_sleeper(w) - (w->searching ? SEARCHER : 0);
	uint64_t cleared = w->retires ? 0 : DUE;
	uint64_t idle = atomic_load_explicit(&rt->idle, memory_order_relaxed);
	/* seq_cst, here and below: not needed for the races, which the fences decide; it
	 * keeps them simple to read, as in the models. */
	while (!atomic_compare_exchange_weak_explicit(&rt->idle, &idle, (idle & ~cleared) + change,
						      memory_order_seq_cst, memory_order_relaxed))
		;
	/* Not before DUE is cleared: the timekeeper would rely on it once more. release: that it is,
	 * for the acquire in leave_to_busy() (park.c). */
	if (idle & cleared)
		atomic_store_explicit(&rt->post_left, true, memory_order_release);
	rt->awake_count--;
	w->searching = false;
}

/* Takes w, which is on the list, off it. It counts as that (SEARCHER, or 0) from now on. */
static inline void take_sleeper_locked(struct weft_runtime *rt, struct worker *w, uint64_t as)
{
	struct worker **link = &rt->sleepers;

	while (*link != w)
		link = &(*link)->sleep_next;
	*link = w->sleep_next;
	atomic_store_explicit(&w->asleep, 0, memory_order_relaxed);
	if (rt->keeper == w) {
		rt->keeper = NULL;
		/* relaxed: published by the change of idle that follows; see search_stop(). */
		atomic_store_explicit(&rt->keeper_deadline, WEFT_FOREVER, memory_order_relaxed);
		/* release: that there is no keeper, for the acquire in leave_to_busy() (park.c).
		 * Whoever looks for us must not find the post taken still. */
		atomic_store_explicit(&rt->post_left, true, memory_order_release);
	}
	atomic_fetch_add_explicit(&rt->idle, as - as_sleeper(w), memory_order_seq_cst);
	rt->awake_count++;
}

/* Wakes the worker that went to sleep last; unless, for `searchers_do`, somebody searches by now.
 * false: nobody sleeps any more, and nobody does it. */
bool weft__wake_one(struct weft_runtime *rt, bool searchers_do, bool to_watch);

/* Wakes a worker that is to become the keeper; if it gets something else to do, the last searcher
 * looks. */
bool weft__wake_to_keep(struct weft_runtime *rt);

#endif
