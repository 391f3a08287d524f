/* SPDX-License-Identifier: MIT */
#include "inside.h"
#include "sched/core/tls.h"

#include "sched/core/runtime.h"
#include "src/base/clock.h"

#include <weft/stats.h>

#include <stdio.h>

void inside_look(struct inside *ret)
{
	const struct weft__thread *th = weft__thread();
	const struct worker *w = weft__worker();

	ret->coro = th->current;
	ret->low = th->current->stack.low;
	ret->top = th->current->stack.top;
	ret->leader = th->leader;
	ret->worker_leader = w->leader;
	ret->task = w->task ? task_handle(w->task) : NULL;
	ret->worker = w->id;
	ret->errno_location = w->errno_location;
}

weft_runtime *inside_runtime(void)
{
	struct worker *w = weft__worker();

	return w ? w->rt : NULL;
}

bool inside_kept(uint64_t *ret)
{
	struct weft_runtime *rt = weft__worker()->rt;
	/* acquire: pairs with the release that published the record */
	unsigned count = atomic_load_explicit(&rt->record_count, memory_order_acquire);

	*ret = 0;
	for (unsigned i = 0; i < count; i++)
		*ret += atomic_load_explicit(&rt->records[i]->chaos.kept, memory_order_relaxed);
	return true;
}

static long long until(int64_t deadline)
{
	return deadline == WEFT_FOREVER ? -1 : (long long)((deadline - weft__clock_now()) / 1000);
}

static void dump_worker(struct worker *w)
{
	fprintf(stderr,
		"  worker %u: ring %s, deque %s, inbox %s, slot %s, earliest deadline in %lld us, "
		"picks %u, "
		"sleep state %u, retiring %d, switches %llu\n",
		w->id, weft__ring_empty(&w->ring) ? "empty" : "FILLED",
		weft__deque_empty(&w->deque) ? "empty" : "FILLED",
		weft__wfcq_empty(&w->inbox) ? "empty" : "FILLED",
		atomic_load_explicit(&w->slot.task, memory_order_relaxed) ? "FILLED" : "empty",
		until(atomic_load_explicit(&w->timers.earliest, memory_order_relaxed)),
		atomic_load_explicit(&w->picks, memory_order_relaxed),
		atomic_load_explicit(&w->sleep.state, memory_order_relaxed),
		atomic_load_explicit(&w->life.retiring, memory_order_relaxed),
		(unsigned long long)atomic_load_explicit(&w->counters.switches,
							 memory_order_relaxed));
}

void inside_dump(weft_runtime *rt)
{
	struct weft_stats s;
	uint64_t idle = atomic_load_explicit(&rt->idle, memory_order_relaxed);

	if (weft_runtime_stats(rt, &s) < 0)
		return;
	fprintf(stderr,
		"runtime %p: spawned %llu, completed %llu, live %llu, forked %llu, inlined %llu, "
		"switches %llu, "
		"hops %llu, parks %llu, wakes %llu, sleeps %llu, nudges %llu\n",
		(void *)rt, (unsigned long long)s.spawned, (unsigned long long)s.completed,
		(unsigned long long)s.live, (unsigned long long)s.forked,
		(unsigned long long)s.inlined, (unsigned long long)s.switches,
		(unsigned long long)s.hops, (unsigned long long)s.parks,
		(unsigned long long)s.wakes, (unsigned long long)s.sleeps,
		(unsigned long long)s.nudges);
	fprintf(stderr,
		"  searchers %u, sleepers %u, watching %u, keeper until %lld us, injection %s, "
		"starving %u, "
		"target %u, closing %d, stopped %u\n",
		SEARCHERS(idle), SLEEPERS(idle),
		atomic_load_explicit(&rt->watching, memory_order_relaxed),
		until(atomic_load_explicit(&rt->keeper_deadline, memory_order_relaxed)),
		weft__wfcq_empty(&rt->injection) ? "empty" : "FILLED",
		atomic_load_explicit(&rt->starving, memory_order_relaxed),
		atomic_load_explicit(&rt->target, memory_order_relaxed),
		atomic_load_explicit(&rt->closing, memory_order_relaxed),
		atomic_load_explicit(&rt->stopped, memory_order_relaxed));
	/* acquire: pairs with the release that published the record */
	unsigned count = atomic_load_explicit(&rt->record_count, memory_order_acquire);
	for (unsigned i = 0; i < count; i++)
		dump_worker(rt->records[i]);
}
