/* SPDX-License-Identifier: MIT */
/* Statistics: adding up the counters of the workers, and printing the sums. */
#include "stats.h"

#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/fatal.h"
#include "visit.h"

#include <weft/stats.h>

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void add(struct weft_stats *sum, struct counters *c)
{
	/* relaxed, all: statistics. */
#define ADD(field) sum->field += load_relaxed(&c->field)
	ADD(spawned);
	ADD(completed);
	ADD(forked);
	ADD(inlined);
	ADD(steals);
	ADD(stolen);
	ADD(hops);
	ADD(switches);
	ADD(parks);
	ADD(wakes);
	ADD(yields);
	ADD(injected);
	ADD(sleeps);
	ADD(nudges);
	ADD(timers);
	ADD(stack_waits);
	ADD(blocking_waits);
#undef ADD
}

static weft_runtime *own_runtime(weft_runtime *rt)
{
	return rt ? rt : weft_runtime_self();
}

static void copy_out(struct weft_stats *ret, size_t size, const struct weft_stats *known)
{
	memset(ret, 0, size);
	memcpy(ret, known, size < sizeof *known ? size : sizeof *known);
}

int weft_runtime_stats_sized(weft_runtime *rt, struct weft_stats *ret_stats, size_t stats_size)
{
	struct weft_stats sum = {0};

	if (!ret_stats)
		return -EINVAL;
	rt = own_runtime(rt);
	if (!rt)
		return -EPERM;
	visit_begin(rt);
	/* acquire: pairs with the release that published the record. */
	unsigned count = load_acquire(&rt->record_count);
	for (unsigned i = 0; i < count; i++)
		add(&sum, &rt->records[i]->counters);
	sum.spawned += load_relaxed(&rt->injected_spawned);
	visit_end(rt);
	sum.live = sum.spawned > sum.completed ? sum.spawned - sum.completed : 0;
	copy_out(ret_stats, stats_size, &sum);
	return 0;
}

int weft_worker_stats_sized(weft_runtime *rt, unsigned worker, struct weft_stats *ret_stats,
			    size_t stats_size)
{
	struct weft_stats sum = {0};

	rt = own_runtime(rt);
	if (!rt)
		return -EPERM;
	visit_begin(rt);
	/* acquire: pairs with the release that published the record. */
	bool valid = ret_stats && worker < load_acquire(&rt->record_count);
	if (valid)
		add(&sum, &rt->records[worker]->counters);
	visit_end(rt);
	if (!valid)
		return -EINVAL;
	copy_out(ret_stats, stats_size, &sum);
	return 0;
}

/* Prints a line that allows comparing two schedules. The schedules of the workers are summed up, in
 * no order. */
static void print_chaos(struct weft_runtime *rt)
{
	/* acquire: pairs with the release that published the record. */
	unsigned count = load_acquire(&rt->record_count);
	uint64_t picks = 0, schedule = 0;

	for (unsigned i = 0; i < count; i++) {
		picks += load_relaxed(&rt->records[i]->chaos.picks);
		schedule += rt->records[i]->chaos.schedule;
	}
	weft__warn("chaos: seed %" PRIu64 ", %" PRIu64 " picks, schedule %016" PRIx64,
		   rt->config.chaos.seed, picks, schedule);
}

void weft__stats_print(struct weft_runtime *rt)
{
	struct weft_stats s;

	if (weft_runtime_stats(rt, &s) < 0)
		return;
	weft__warn("stats: spawned %llu completed %llu forked %llu inlined %llu steals %llu stolen "
		   "%llu "
		   "hops %llu switches %llu parks %llu wakes %llu yields %llu injected %llu sleeps "
		   "%llu "
		   "nudges %llu timers %llu stack_waits %llu blocking_waits %llu",
		   (unsigned long long)s.spawned, (unsigned long long)s.completed,
		   (unsigned long long)s.forked, (unsigned long long)s.inlined,
		   (unsigned long long)s.steals, (unsigned long long)s.stolen,
		   (unsigned long long)s.hops, (unsigned long long)s.switches,
		   (unsigned long long)s.parks, (unsigned long long)s.wakes,
		   (unsigned long long)s.yields, (unsigned long long)s.injected,
		   (unsigned long long)s.sleeps, (unsigned long long)s.nudges,
		   (unsigned long long)s.timers, (unsigned long long)s.stack_waits,
		   (unsigned long long)s.blocking_waits);
	if (rt->config.chaos.on)
		print_chaos(rt);
}
