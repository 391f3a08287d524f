/* SPDX-License-Identifier: MIT */
#include "chaos.h"

#include "identity.h"
#include "runtime.h"
#include "sched/os/clock.h"
#include "sched/os/cpu_relax.h"

#include <sched.h>

/* One in so many passages of a point loses time, and one in so many strikes; 0: none. */
static const struct {
	uint16_t lose_time, strike;
} odds[CHAOS_POINTS] = {
	[CHAOS_PICK] = {64, 4},  [CHAOS_ORDER] = {0, 2},  [CHAOS_READY] = {64, 4},
	[CHAOS_SPAWN] = {64, 4}, [CHAOS_WAIT] = {0, 2},   [CHAOS_LOCK] = {8, 4},
	[CHAOS_CANCEL] = {4, 0}, [CHAOS_TIMERS] = {0, 4}, [CHAOS_STEAL] = {8, 4},
	[CHAOS_SLEEP] = {4, 4},  [CHAOS_ROUSE] = {8, 2},
};

/* The processor's, at most; enough for what others do in a few hundred instructions. */
#define PAUSES_MAX 500
/* How often in a row a worker passes tasks on rather than run them itself. */
#define PASSES_MAX 2000
/* Of virtual time; what short deadlines are made of. */
#define LOST_MAX_NS 20000

/* Queues hold 2, 4, 8 or 16 tasks. */
#define CAPACITY_LEAST 2
#define CAPACITIES     4

uint32_t weft__chaos_choose(struct worker *w, uint32_t n)
{
	return weft__random_below(&w->random, n);
}

static bool one_in(struct worker *w, uint32_t n)
{
	return n > 0 && weft__chaos_choose(w, n) == 0;
}

static void lose_time(struct worker *w)
{
	if (w->rt->config.chaos.virtual_time) {
		weft__clock_pass(weft__chaos_choose(w, LOST_MAX_NS));
	} else if (one_in(w, 2)) {
		sched_yield();
	} else {
		for (uint32_t i = weft__chaos_choose(w, PAUSES_MAX); i > 0; i--)
			weft__cpu_relax();
	}
}

bool weft__chaos_strikes(struct worker *w, enum chaos_point point)
{
	if (one_in(w, odds[point].lose_time))
		lose_time(w);
	if (!one_in(w, odds[point].strike))
		return false;
	counter_add(&w->chaos.struck[point], 1);
	return true;
}

/*
 * With "hop" a task that becomes runnable goes to the pool's queue, and the worker on which it was
 * suspended passes it on when it takes it there. So another worker resumes it, as long as one comes
 * by. If all others compute, or the system does not run their threads, the worker passes it on
 * PASSES_MAX times, then runs it itself and counts it as kept.
 * (Rejected: the inbox of another worker, where the task waits behind whatever runs there.)
 */
bool weft__chaos_passes_on(struct worker *w, struct task *t)
{
	struct weft_runtime *rt = w->rt;
	struct chaos *c = &w->chaos;

	/* relaxed: workers that come or go just now only change who may run it. */
	bool stays = t->coro && t->home == w->id &&
		     atomic_load_explicit(&rt->target, memory_order_relaxed) > 1;

	if (!stays || c->passes == PASSES_MAX) {
		if (stays)
			counter_add(&c->kept, 1);
		c->passes = 0;
		return false;
	}
	c->passes++;
	counter_add(&c->passed, 1);
	weft__inject(rt, t);
	sched_yield();
	return true;
}

bool weft__chaos_send_away(struct worker *w, struct task *t, enum chaos_point point)
{
	bool hop = w->rt->config.chaos.hop && point == CHAOS_READY;

	if (!hop && !weft__chaos_strikes(w, point))
		return false;
	/* Where any worker finds it: in the inbox of one that computes, for another one to run, it
	 * would be stranded. */
	weft__inject(w->rt, t);
	return true;
}

void weft__chaos_picked(struct worker *w, struct task *t)
{
	struct chaos *c = &w->chaos;

	/* Not the number itself: that depends on who else took some in this process. */
	uint64_t number = identity_number(task_identity(t)) - w->numbers.base;

	c->schedule = (c->schedule ^ (number + 1)) * UINT64_C(0x9e3779b97f4a7c15);
	c->schedule ^= c->schedule >> 32;
	counter_add(&c->picks, 1);
}

unsigned weft__chaos_capacity(struct worker *w)
{
	return CAPACITY_LEAST << weft__chaos_choose(w, CAPACITIES);
}
