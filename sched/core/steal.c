/* SPDX-License-Identifier: MIT */
/*
 * Stealing. A searcher goes around the table of workers from a random place. It tries three places
 * of a victim, in this order: (a) the oldest unstarted task of the deque; (b) the task that the
 * victim was handed in its sleep; (c) half of the ring.
 *
 * It takes half of a deque that holds many tasks. A task has probably spawned those in a loop, and
 * each steal costs the victim an interrupt. A deque that holds few tasks may be a recursion's.
 * There the oldest task is the largest part of the work, and the forker runs the others inline.
 *
 * The tasks of a ring have run before. Those that talk to other tasks of their worker will soon
 * suspend again. If the loot lasts less than LOOT_SHORT_NS per task, the steal has cost more than
 * it has brought: many cache lines move between two processors. They are those of the queue, of the
 * tasks, and of what the tasks talk through. The thief then leaves rings alone for a moment. It
 * does so for AVOID_FIRST_NS, and twice as long each time in a row, up to AVOID_MAX_NS. Half of the
 * time that it may search in vain is another limit.
 *
 * Meanwhile the victim runs these tasks itself, or there are more of them and the next loot lasts
 * longer. No task is left behind: the thief does not sleep before it has looked again (find.c).
 */
#include "steal.h"

#include "coros.h"
#include "counters.h"
#include "pick.h"
#include "ready.h"
#include "rouse.h"
#include "runtime.h"
#include "src/base/clock.h"

#define RING_BATCH      128
#define DEQUE_BATCH     1024
#define DEQUE_BATCH_MIN 64
#define LOOT_SHORT_NS   1500 /* about what a steal costs both where a cache line travels far */
#define AVOID_FIRST_NS  1000
#define AVOID_MAX_NS    8000

static_assert(DEQUE_BATCH <= WEFT__DEQUE_CLAIM_MAX, "as many as can be claimed");

static int64_t longer_avoidance(const struct worker *w)
{
	int64_t next = w->thief.avoid_ns == 0 ? AVOID_FIRST_NS : 2 * w->thief.avoid_ns;
	int64_t most = (int64_t)w->rt->config.spin_us * 1000 / 2;

	if (most > AVOID_MAX_NS)
		most = AVOID_MAX_NS;
	return next < most ? next : most;
}

/* Measures how long w's last loot has lasted, unless that was done. Returns whether to leave rings
 * alone. */
static bool avoids_rings(struct worker *w)
{
	if (w->thief.loot_since == 0 && w->thief.avoid_until == 0)
		return false;
	int64_t now = weft__clock_now();
	if (w->thief.loot_since != 0) {
		bool was_short = now - w->thief.loot_since < w->thief.loot_count * LOOT_SHORT_NS;
		w->thief.avoid_ns = was_short ? longer_avoidance(w) : 0;
		w->thief.loot_since = 0;
		w->thief.avoid_until = now + w->thief.avoid_ns;
	}
	if (now < w->thief.avoid_until)
		return true;
	w->thief.avoid_until = 0;
	return false;
}

static struct task *steal_from(struct worker *w, struct worker *victim, bool can_start)
{
	void *loot[DEQUE_BATCH];
	uintptr_t hints[RING_BATCH];

	size_t unstarted = can_start ? weft__deque_size(&victim->deque) : 0;
	if (unstarted > 0) {
		size_t most = unstarted < DEQUE_BATCH_MIN ? 1 : unstarted / 2;
		unsigned count = weft__deque_steal(
			&victim->deque, loot, most < DEQUE_BATCH ? (unsigned)most : DEQUE_BATCH);
		if (count > 0) {
			counter_add(&w->counters.steals, 1);
			counter_add(&w->counters.stolen, count);
			/* Our deque is empty, so it runs them in the order in which they were
			 * spawned. */
			for (unsigned i = count; i-- > 1;) {
				if (!weft__deque_push(&w->deque, loot[i]))
					weft__inject(w->rt, loot[i]);
			}
			return startable(w, loot[0], STACK_GET);
		}
	}
	struct task *handed = can_start ? from_hand(victim) : NULL;
	if (handed) {
		counter_add(&w->counters.injected, 1);
		return startable(w, handed, STACK_GET);
	}
	if (w->thief.avoids_rings || weft__ring_empty(&victim->ring))
		return NULL;
	unsigned count = weft__ring_steal(&victim->ring, loot, hints, RING_BATCH);
	if (count == 0)
		return NULL;
	counter_add(&w->counters.steals, 1);
	counter_add(&w->counters.stolen, count);
	/* As weft__ready_tail() does, but without touching the tasks, which stay in the victim's
	 * cache for now. None is pinned, since pinned tasks are in no ring. */
	bool chaos = w->rt->config.chaos.on;
	for (unsigned i = 1; i < count; i++) {
		if (chaos || w->pick.overflowed || !weft__ring_push(&w->ring, loot[i], hints[i]))
			weft__ready_tail(w, loot[i]);
	}
	if (count > 1)
		weft__announce(w->rt);
	w->thief.loot_since = weft__clock_now();
	w->thief.loot_count = count;
	return startable(w, loot[0], STACK_GET);
}

struct task *weft__steal(struct worker *w)
{
	bool can_start = weft__can_start(w);
	struct task *t = NULL;

	w->thief.avoids_rings = avoids_rings(w);
	weft__rcu_lock();
	struct worker_table *table = worker_table(w->rt);
	uint32_t start = weft__random_below(&w->random, table->count);
	for (unsigned i = 0; i < table->count && !t; i++) {
		struct worker *victim = table->workers[(start + i) % table->count];
		if (victim != w)
			t = steal_from(w, victim, can_start);
	}
	weft__rcu_unlock();
	return t;
}
