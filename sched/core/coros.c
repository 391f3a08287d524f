/* SPDX-License-Identifier: MIT */
/*
 * The coroutines that a worker keeps for tasks of the common stack size.
 *
 * A task that ends leaves its coroutine to its worker, hot in the cache, and the next task that
 * starts there takes it. A worker keeps two chains of them at most (DEPOT_CHAIN). It exchanges whole
 * chains with the depot of the runtime (src/depot.h). So a burst on one worker serves the others
 * later, and neither side takes a lock for each task.
 */
#include "coros.h"

#include "execute.h"
#include "reserve.h"
#include "rouse.h"
#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "starve.h"

void weft__depot_begins(struct worker *w)
{
	weft__depot_tend(&w->rt->depot, weft__clock_now(), w);
	weft__announce_timer(w);
}

void weft__keep_coro(struct worker *w, struct coro *co)
{
	if (w->coros.count == DEPOT_CHAIN) {
		/* relaxed: see the invariants in reserve.h. */
		if (load_relaxed(&w->rt->starving) && weft__reserve_fill(w->rt, co))
			return;
		if (w->coros.chain && weft__depot_put(&w->rt->depot, w->coros.chain))
			weft__depot_begins(w);
		w->coros.chain = w->coros.first;
		w->coros.first = NULL;
		w->coros.count = 0;
		w->coros.cold = 0;
	}
	link_coro(w, co);
}

bool weft__coro_at_hand_in_chain(struct worker *w)
{
	w->coros.first = w->coros.chain;
	w->coros.chain = NULL;
	w->coros.count = DEPOT_CHAIN;
	w->coros.cold = 0;
	return true;
}

void weft__shed_coros(struct worker *w)
{
	if (w->coros.chain && weft__depot_put(&w->rt->depot, w->coros.chain))
		weft__depot_tend(&w->rt->depot, weft__clock_now(), w);
	w->coros.chain = NULL;
}

void weft__cool_coros(struct worker *w)
{
	const struct stack *warm[DEPOT_CHAIN];
	size_t count = 0;

	for (struct coro *co = w->coros.first; co && count < DEPOT_CHAIN; co = co->next) {
		if (co->cool)
			continue;
		co->cool = true;
		warm[count++] = &co->stack;
	}
	if (count > 0)
		weft__stack_cool(warm, count);
}

/* Moves a chain of coroutines from the depot to w, which keeps none. Returns false if the depot has
 * no chain. */
static bool fetch_coros(struct worker *w)
{
	w->coros.first = weft__depot_take(&w->rt->depot);
	w->coros.count = w->coros.first ? DEPOT_CHAIN : 0;
	w->coros.cold = w->coros.count;
	return w->coros.first;
}

/* Makes co the only coroutine that w keeps. Returns false if co is NULL. */
static bool keep_first(struct worker *w, struct coro *co)
{
	if (co) {
		co->next = NULL;
		w->coros.first = co;
		w->coros.count = 1;
	}
	return co;
}

bool weft__can_start(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	if (weft__coro_at_hand(w))
		return true;
	weft__assert_may_be_slow(w);
	bool got = fetch_coros(w) ||
		   keep_first(w, weft__coro_new(rt->config.stack_size, rt->config.guard,
						weft__task_main)) ||
		   keep_first(w, weft__reserve_take(rt, &rt->common));
	weft__note_stack(w, got);
	return got;
}

/* Returns a coroutine for a task of uncommon stack size, or NULL. */
static struct coro *uncommon_coro(struct worker *w, struct reserve *reserve)
{
	weft__assert_may_be_slow(w);
	struct coro *co = weft__reserve_take(w->rt, reserve);

	return co ? co : weft__coro_new(reserve->stack_size, w->rt->config.guard, weft__task_main);
}

bool weft__can_start_task(struct worker *w, struct task *t)
{
	if (t->coro)
		return true;
	struct reserve *reserve = task_reserve(t);
	if (!reserve)
		return weft__can_start(w);
	struct coro *co = uncommon_coro(w, reserve);
	if (!co && (w->coros.first || w->coros.chain)) {
		weft__drop_idle_coros(w);
		co = uncommon_coro(w, reserve);
	}
	weft__note_stack(w, co != NULL);
	if (!co)
		return false;
	t->coro = co;
	t->home = w->id;
	return true;
}

void weft__drop_idle_coros(struct worker *w)
{
	while (w->coros.first || w->coros.chain) {
		struct coro *co = w->coros.first ? w->coros.first : w->coros.chain;
		if (!w->coros.first)
			w->coros.chain = NULL;
		w->coros.first = co->next;
		if (!weft__reserve_fill(w->rt, co))
			weft__coro_free(co);
	}
	w->coros.count = 0;
	w->coros.cold = 0;
}
