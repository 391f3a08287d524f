/* SPDX-License-Identifier: MIT */
/*
 * weft_trim(): memory is given back at once.
 *
 * What lies in pools and depots is freed by the caller. What a worker keeps is the worker's alone
 * to touch. So all workers that sleep are woken: each drops what it keeps when it goes to sleep
 * again, if `weft__trims` has changed since it last did. A worker that is busy does so at its next
 * sleep. The keep of the caller's own worker is dropped here.
 */
#include "runtime.h"
#include "src/orphan.h"

#include <stddef.h>

_Atomic unsigned weft__trims;

static void wake_workers(struct depot *depot)
{
	weft__wake_all(
		(struct weft_runtime *)((char *)depot - offsetof(struct weft_runtime, depot)));
}

void weft__trim_worker(struct worker *w)
{
	/* relaxed: who wakes w by the list of sleepers has changed it before, and w has the list's
	 * lock after that. */
	unsigned trims = atomic_load_explicit(&weft__trims, memory_order_relaxed);

	if (w->trims == trims)
		return;
	w->trims = trims;
	weft__drop_idle_coros(w);
	weft__task_pool_trim(&w->tasks);
	weft__lock(&w->rt->outside_lock);
	weft__task_pool_trim(&w->rt->outside_tasks);
	weft__unlock(&w->rt->outside_lock);
	/* It may have passed a chain on since the caller emptied the depot. */
	weft__depot_empty(&w->rt->depot);
	weft__stack_discard_all();
}

int weft_trim(void)
{
	struct worker *w = weft__worker();

	if (w) {
		weft__drop_idle_coros(w);
		weft__task_pool_trim(&w->tasks);
	}
	weft__stack_trim();
	/* relaxed: see weft__trim_worker(). */
	atomic_fetch_add_explicit(&weft__trims, 1, memory_order_relaxed);
	if (!weft__is_orphan()) /* whose workers are not there */
		weft__depots_each(wake_workers);
	return 0;
}
