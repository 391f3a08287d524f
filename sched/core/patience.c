/* SPDX-License-Identifier: MIT */
/*
 * Tasks that never suspend, because all their calls find what they want.
 *
 * The problem. A task makes no picks if it only takes free locks, sends into free buffers, or forks
 * and joins. Its worker's other tasks wait for as long as it goes on. If all workers run such
 * tasks, no other task runs at all.
 *
 * So calls that could have suspended and did not are counted. After WEFT__PATIENCE of them the task
 * checks whether something is due (due.c). After LOOKS times as many it looks at the clock. It
 * gives way if its worker has not switched for RUN_NS, and has something else to run. The first
 * look after a switch notes the time. So a task with frequent calls gives way after one to two
 * RUN_NS.
 *
 * The counter is where the call writes anyway. For a mutex, a read-write lock, an event and a
 * barrier that is the worker. For a channel and a semaphore it is the object, as these calls do not
 * know their worker. Inline joins have their own counter, and each INLINE_JOINS of them are noted
 * here.
 *
 * Calls that must not suspend never give way: unlock, release, spawn, and all try_ forms. A loop
 * over a try_ form spins, and should yield.
 *
 * Rejected designs.
 *   - A look at DUE, or at the clock, in each of the calls.
 *   - A tick that asks all workers to give way.
 */
#include "patience.h"

#include "due.h"
#include "pick.h"
#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "tls.h"

#define LOOKS        8
#define INLINE_JOINS 512
#define RUN_NS       ((int64_t)1000000)

struct worker *weft__out_of_patience(struct worker *w)
{
	w->patience.left = WEFT__PATIENCE;
	if (is_due(w->rt))
		return weft__let_due_run(w);
	if (++w->patience.looks % LOOKS != 0)
		return w;
	/* relaxed: our own. */
	uint64_t switches = load_relaxed(&w->counters.switches);
	int64_t now = weft__clock_now();
	if (w->patience.looked_switches != switches) {
		w->patience.looked_switches = switches;
		w->patience.looked_at = now;
		return w;
	}
	if (now - w->patience.looked_at < RUN_NS)
		return w;
	w->patience.looked_at = now;
	return give_way(w);
}

void weft__fast_path_in_object(void)
{
	struct worker *w = weft__worker();

	if (w)
		w = weft__out_of_patience(w);
}

void weft__note_inline_joins(struct worker *w)
{
	w->inlining.patience = INLINE_JOINS;
	w->inlining.span = 0;
	w->patience.left = 1;
	w->patience.looks = LOOKS - 1;
}
