/* SPDX-License-Identifier: MIT */
/*
 * weft_trim(): gives memory back at once.
 *
 * The caller frees what lies in pools and depots. Only a worker itself may touch what it keeps. So
 * all sleeping workers are woken. Each drops what it keeps when it goes to sleep again, if
 * `weft__trims` has changed since it last did so. A busy worker does so at its next sleep. What the
 * caller's own worker keeps is dropped here.
 */
#include "trim.h"

#include "coros.h"
#include "rouse.h"
#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/orphan.h"
#include "src/stack/stack_trim.h"
#include "task_pool.h"
#include "tls.h"

#include <stddef.h>

_Atomic unsigned weft__trims;

static void wake_workers(struct depot *depot)
{
	weft__wake_all(container_of(depot, struct weft_runtime, depot));
}

void weft__trim_worker(struct worker *w)
{
	/* relaxed: the thread that wakes w through the list of sleepers has changed it before, and
	 * w takes the list's lock after that. */
	unsigned trims = load_relaxed(&weft__trims);

	if (w->coros.trims == trims)
		return;
	w->coros.trims = trims;
	weft__drop_idle_coros(w);
	weft__task_pool_trim(&w->tasks);
	weft__lock(&w->rt->outside_lock);
	weft__task_pool_trim(&w->rt->outside_tasks);
	weft__unlock(&w->rt->outside_lock);
	/* It may have put a chain into the depot after the caller emptied it. */
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
	fetch_add_relaxed(&weft__trims, 1);
	if (!weft__is_orphan()) /* an orphan's workers do not exist */
		weft__depots_each(wake_workers);
	return 0;
}
