/* SPDX-License-Identifier: MIT */
#include "chaos.h"

#include "runtime.h"

#include <sched.h>

/* One in so many. */
#define SEND_AWAY_ODDS 4
#define FAIR_PICK_ODDS 4
#define GIVE_WAY_ODDS  64

static uint32_t roll(struct worker *w, uint32_t sides)
{
	return weft__random_below(&w->random, sides);
}

bool weft__chaos_send_away(struct worker *w, struct task *t)
{
	struct weft_runtime *rt = w->rt;
	struct worker *target = NULL;

	if (!rt->config.chaos.hop && roll(w, SEND_AWAY_ODDS) != 0)
		return false;

	weft__rcu_lock();
	struct worker_table *table = worker_table(rt);
	uint32_t start = roll(w, table->count);
	for (unsigned i = 0; i < table->count && !target; i++) {
		struct worker *candidate = table->workers[(start + i) % table->count];
		/* relaxed: one that retires just now hands its inbox over once nobody can see it any more. */
		if (candidate->id != t->home &&
		    !atomic_load_explicit(&candidate->retiring, memory_order_relaxed))
			target = candidate;
	}
	if (target) /* inside the section: a worker drains its inbox a last time after a grace period */
		weft__wfcq_enqueue(&target->inbox, &t->link);
	weft__rcu_unlock();
	if (target)
		weft__nudge(target);
	return target != NULL;
}

bool weft__chaos_pick(struct worker *w)
{
	if (roll(w, GIVE_WAY_ODDS) == 0)
		sched_yield();
	return roll(w, FAIR_PICK_ODDS) == 0;
}
