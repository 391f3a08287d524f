/* SPDX-License-Identifier: MIT */
/* WEFT_CHAOS: see chaos.h. */
#include "chaos.h"

#include "identity.h"
#include "ready.h"
#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/cpu_relax.h"

#include <sched.h>

/* At each point one passage in `lose_time` loses time, and one in `strike` strikes. 0 means
 * never. */
static const struct {
	uint16_t lose_time, strike;
} odds[CHAOS_POINTS] = {
	[CHAOS_PICK] = {64, 4},  [CHAOS_ORDER] = {0, 2},  [CHAOS_READY] = {64, 4},
	[CHAOS_SPAWN] = {64, 4}, [CHAOS_WAIT] = {0, 2},   [CHAOS_LOCK] = {8, 4},
	[CHAOS_CANCEL] = {4, 0}, [CHAOS_TIMERS] = {0, 4}, [CHAOS_STEAL] = {8, 4},
	[CHAOS_SLEEP] = {4, 4},  [CHAOS_ROUSE] = {8, 2},
};

/* The longest loss of time, in pause instructions of the processor. It is enough for what others do
 * in a few hundred instructions. */
#define PAUSES_MAX 500
/* A worker passes on at most this many tasks in a row. It runs the next one itself. */
#define PASSES_MAX 2000
/* The longest loss of virtual time. Short deadlines are of this size. */
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
 * With "hop" a task that becomes runnable goes to the injection queue. The worker on which the task
 * was suspended may take it from there. That worker passes it on: it puts the task back. So another
 * worker resumes the task, as long as one comes by. None comes by if all others compute, or if the
 * system does not run their threads. So after PASSES_MAX passes the worker runs the task itself,
 * and counts it as kept.
 *
 * Rejected: the inbox of another worker. The task would wait there behind whatever that worker
 * runs.
 */
bool weft__chaos_passes_on(struct worker *w, struct task *t)
{
	struct weft_runtime *rt = w->rt;
	struct chaos *c = &w->chaos;

	/* relaxed: a worker that comes or goes just now only changes which worker may run the
	 * task. */
	bool stays = t->coro && t->home == w->id && load_relaxed(&rt->target) > 1;

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
	/* Any worker finds the task there. In the inbox of a worker that computes it would be
	 * stranded. */
	weft__inject(w->rt, t);
	return true;
}

void weft__chaos_picked(struct worker *w, struct task *t)
{
	struct chaos *c = &w->chaos;

	/* Relative to the worker's first number. The number itself depends on how many numbers
	 * others have taken in this process. */
	uint64_t number = identity_number(task_identity(t)) - w->numbers.base;

	c->schedule = (c->schedule ^ (number + 1)) * UINT64_C(0x9e3779b97f4a7c15);
	c->schedule ^= c->schedule >> 32;
	counter_add(&c->picks, 1);
}

unsigned weft__chaos_capacity(struct worker *w)
{
	return CAPACITY_LEAST << weft__chaos_choose(w, CAPACITIES);
}
