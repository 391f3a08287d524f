/* SPDX-License-Identifier: MIT */
/*
 * Stealing. A searcher goes around the table from a random place and takes the oldest unstarted
 * task of a deque, what its victim was handed in its sleep, or half of a ring. Of a deque that
 * holds many it takes half as well: those are tasks that somebody spawned in a loop, and each steal
 * costs its victim an interrupt. One that holds few may be a recursion's, whose oldest is the
 * largest part of the work, and whose others their forker runs inline.
 *
 * The tasks of a ring have run before, and those that talk to others of their worker will soon
 * suspend again. If what was stolen lasted for less than LOOT_SHORT_NS a task, it has cost more
 * than it has brought: the lines of the queue, of the tasks, and of what they talk through go to
 * and fro between two processors. So the thief then leaves rings alone for a moment, and looks on:
 * for SPARE_FIRST_NS, and twice as long each time in a row, up to SPARE_MAX_NS, and to half of the
 * time that it may search in vain. Meanwhile the victim runs these tasks itself, or there are more
 * of them, and the next loot lasts longer. No task is left behind: the thief does not go to sleep
 * before it has looked again (find.c).
 */
#include "find.h"
#include "sched/os/clock.h"

#define RING_BATCH      128
#define DEQUE_BATCH     1024
#define DEQUE_BATCH_MIN 64
#define LOOT_SHORT_NS   1500 /* about what a steal costs both, where a line's way is long */
#define SPARE_FIRST_NS  1000
#define SPARE_MAX_NS    8000

static_assert(DEQUE_BATCH <= WEFT__DEQUE_CLAIM_MAX, "as many as can be claimed");

static int64_t longer_spare(const struct worker *w)
{
	int64_t next = w->spare_ns == 0 ? SPARE_FIRST_NS : 2 * w->spare_ns;
	int64_t most = (int64_t)w->rt->config.spin_us * 1000 / 2;

	if (most > SPARE_MAX_NS)
		most = SPARE_MAX_NS;
	return next < most ? next : most;
}

/* Looks how long w's last loot has lasted, if not done yet. Whether rings are to be left alone. */
static bool spares_rings(struct worker *w)
{
	if (w->loot_since == 0 && w->spare_until == 0)
		return false;
	int64_t now = weft__clock_now();
	if (w->loot_since != 0) {
		bool was_short = now - w->loot_since < w->loot_count * LOOT_SHORT_NS;
		w->spare_ns = was_short ? longer_spare(w) : 0;
		w->loot_since = 0;
		w->spare_until = now + w->spare_ns;
	}
	if (now < w->spare_until)
		return true;
	w->spare_until = 0;
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
			/* Ours is empty, so they are run in the order in which they were
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
	if (w->spares_rings || weft__ring_empty(&victim->ring))
		return NULL;
	unsigned count = weft__ring_steal(&victim->ring, loot, hints, RING_BATCH);
	if (count == 0)
		return NULL;
	counter_add(&w->counters.steals, 1);
	counter_add(&w->counters.stolen, count);
	/* As weft__ready_tail() does, but without a look at the tasks, which then stay in their
	 * victim's cache for now. (None is pinned: those are in no ring.) */
	bool chaos = w->rt->config.chaos.on;
	for (unsigned i = 1; i < count; i++) {
		if (chaos || w->overflowed || !weft__ring_push(&w->ring, loot[i], hints[i]))
			weft__ready_tail(w, loot[i]);
	}
	if (count > 1)
		weft__announce(w->rt);
	w->loot_since = weft__clock_now();
	w->loot_count = count;
	return startable(w, loot[0], STACK_GET);
}

struct task *weft__steal(struct worker *w)
{
	bool can_start = weft__can_start(w);
	struct task *t = NULL;

	w->spares_rings = spares_rings(w);
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
