/* SPDX-License-Identifier: MIT */
/*
 * Tasks that never suspend, since all their calls find what they want.
 *
 * The problem. A task that only takes free locks, sends into free buffers, or forks and joins makes
 * no picks. Its worker's other tasks wait for as long as it goes on. If all workers run such tasks,
 * nobody else runs at all.
 *
 * So calls that may suspend, and do not, are counted. After WEFT__PATIENCE of them the task looks
 * whether something is due (due.c). After LOOKS times as many it looks at the clock. It gives way
 * if its worker has not switched for RUN_NS, and has something else to run. The first look after a
 * switch notes the time, so a task gives way after 1 to 2 RUN_NS if its calls are frequent.
 *
 * A count is kept where the call writes anyway: in the worker (mutex, read-write lock, event,
 * barrier), or in the object, if the call does not know its worker (channel, semaphore). Inline
 * joins have their own counter, and each INLINE_JOINS of them are noted here.
 *
 * Calls that must not suspend never give way: unlock, release, spawn, and all try_ forms. A loop
 * over a try_ form is a loop that spins, and should yield.
 *
 * Rejected: a look at DUE, or at the clock, in each of the calls. Rejected: a tick that asks all
 * workers to give way.
 */
#include "patience.h"

#include "runtime.h"
#include "sched/os/clock.h"

#define LOOKS        8
#define INLINE_JOINS 512
#define RUN_NS       ((int64_t)1000000)

struct worker *weft__out_of_patience(struct worker *w)
{
	w->patience = WEFT__PATIENCE;
	if (is_due(w->rt))
		return weft__let_due_run(w);
	if (++w->looks % LOOKS != 0)
		return w;
	/* relaxed: our own. */
	uint64_t switches = atomic_load_explicit(&w->counters.switches, memory_order_relaxed);
	int64_t now = weft__clock_now();
	if (w->looked_switches != switches) {
		w->looked_switches = switches;
		w->looked_at = now;
		return w;
	}
	if (now - w->looked_at < RUN_NS)
		return w;
	w->looked_at = now;
	return give_way(w);
}

void weft__fast_path_in_object(void)
{
	struct worker *w = weft__worker();

	if (w)
		weft__out_of_patience(w);
}

void weft__note_inline_joins(struct worker *w)
{
	w->inline_patience = INLINE_JOINS;
	w->inline_span = 0;
	w->patience = 1;
	w->looks = LOOKS - 1;
}
