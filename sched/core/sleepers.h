/* SPDX-License-Identifier: MIT */
/*
 * The list of sleepers, and its relation to `idle`, which counts them. Going to sleep (idle.c) and
 * waking (rouse.c) share this.
 *
 * A worker on the list waits until its state is ROUSED (enum sleep_state in worker.h). The thread
 * that takes it off the list, under idle_lock, stores that afterwards. A worker may also take
 * itself off. So exactly one thread ends each stay on the list.
 *
 * A retiring worker does not look for work. So it does not count as a sleeper, and is not woken for
 * work. It is on the list for the threads that nudge it, and because it may be the keeper.
 */
#ifndef WEFT_CORE_SLEEPERS_H
#define WEFT_CORE_SLEEPERS_H

#include "idle.h"
#include "runtime.h"
#include "src/base/atomic.h"

/*
 * What w adds to `idle` while it sleeps. A retiring worker adds nothing, since only nudges and its
 * own timeouts wake it. w->duties.retires does not change while w is on the list.
 */
static inline uint64_t as_sleeper(const struct worker *w)
{
	return w->duties.retires ? 0 : SLEEPER;
}

/* Whether w is on the list. Certain under idle_lock only. */
static inline bool is_listed(const struct worker *w)
{
	/* relaxed: the lock or the caller's fence orders it. */
	uint32_t state = load_relaxed(&w->sleep.state);

	return state == LOOKING_LAST || state == ASLEEP;
}

static inline void push_sleeper_locked(struct worker *w)
{
	struct weft_runtime *rt = w->rt;
	uint64_t change = as_sleeper(w) - (is_searching(w) ? SEARCHER : 0);

	w->sleep.next = rt->sleepers;
	rt->sleepers = w;
	/* relaxed: weft__nudge() reads it after its fence; our own fence follows. */
	store_relaxed(&w->sleep.state, LOOKING_LAST);
	/* DUE can be cleared here: w looks for what is due once it is on the list (due.c). */
	uint64_t cleared = w->duties.retires ? 0 : DUE;
	uint64_t idle = load_relaxed(&rt->idle);
	/* seq_cst, here and below: the races do not need it, as the fences decide them. It keeps
	 * the code as simple to read as the models. */
	while (!cas_weak_seq_cst(&rt->idle, &idle, (idle & ~cleared) + change))
		;
	/* Only after DUE was cleared: otherwise the timekeeper would rely on DUE once more.
	 * release: that DUE is cleared, for the acquire in pass_on_duties() (idle.c). */
	if (idle & cleared)
		store_release(&rt->post_left, true);
	rt->awake_count--;
}

/* Takes w, which is on the list, off it. From now on w counts as `as` (SEARCHER or 0). */
static inline void take_sleeper_locked(struct weft_runtime *rt, struct worker *w, uint64_t as)
{
	struct worker **link = &rt->sleepers;

	while (*link != w)
		link = &(*link)->sleep.next;
	*link = w->sleep.next;
	store_relaxed(&w->sleep.state, TAKEN);
	if (rt->keeper == w) {
		rt->keeper = NULL;
		/* relaxed: the change of idle below publishes it; see weft__search_stop(). */
		store_relaxed(&rt->keeper_deadline, WEFT_FOREVER);
		/* release: that there is no keeper, for the acquire in pass_on_duties() (idle.c). A
		 * worker that looks for us must find the post free. */
		store_release(&rt->post_left, true);
	}
	fetch_add_seq_cst(&rt->idle, as - as_sleeper(w));
	rt->awake_count++;
}

#endif
