/* SPDX-License-Identifier: MIT */
/*
 * Finding work: what a leader runs next, and what it does while there is nothing.
 *
 * The leader takes its worker's own pick (pick.c) first. Where that pick is the leader's it serves
 * what is due (due.c), or else what the usual order neglects: four sources, each first in its turn.
 * Where there is nothing it looks at what all share, runs the timers, and then searches.
 *
 * Searching. At most half as many workers search at a time as there are processors. A searcher
 * steals (steal.c) and looks at what all share, for WEFT_SPIN microseconds, then sleeps (park.c).
 *
 * It searches that long only if that would have paid lately: if one of the last four times without
 * work ended within WEFT_SPIN. Else it looks everywhere once. What a worker uses up by searching in
 * vain, the kernel makes it pay for: who is woken then does not get the waker's processor before
 * that one sleeps.
 */
#include "find.h"
#include "pick.h"
#include "sched/os/clock.h"
#include "sched/os/cpu_relax.h"
#include "scope.h"
#include "wait.h"
#include "watch.h"

#define FAIR_SOURCES    4
#define INJECTION_BATCH WEFT__INJECTION_BATCH
#define SEARCH_PAUSES   128
#define IDLES_SEEN      0xf /* of worker.short_idles: the last four */

static_assert(WEFT__FAIR_BOUND == WEFT__LEADER_EVERY * FAIR_SOURCES,
	      "what the documentation promises");

/* What w, which has slept, is to run: t, or what it was handed meanwhile. If there are both, the
 * latter may be overtaken by what was submitted after it. */
static struct task *or_handed(struct worker *w, struct task *t)
{
	struct task *handed = from_hand(w);

	if (!handed)
		return t;
	if (t) {
		weft__inject(w->rt, handed);
		return t;
	}
	counter_add(&w->counters.injected, 1);
	return startable(w, handed, STACK_GET);
}

/* What the order of weft__pick_local() neglects; each source comes first in its turn. */
static struct task *pick_fair(struct worker *w)
{
	struct task *t = NULL;

	for (unsigned i = 0; i < FAIR_SOURCES && !t; i++) {
		switch (w->fair_turn++ % FAIR_SOURCES) {
		case 0:
			t = weft__from_injection(w, 1, STACK_GET);
			break;
		case 1:
			t = weft__from_deque_end(w, STACK_GET);
			break;
		case 2:
			t = weft__from_inbox(w, STACK_GET);
			break;
		case 3:
			t = weft__starved_take(w);
			break;
		}
	}
	return t;
}

/*
 * Makes runnable what waits for a time that has come, whoever's heap it is in, and tends the depot.
 * Whether it is to be tended again at once.
 *
 * @beside  w has other tasks: what has come goes to the injection queue, and the caller sees to it.
 */
static bool run_timers(struct worker *w, bool beside)
{
	struct weft_runtime *rt = w->rt;
	/* acquire: pairs with the release that published the record. */
	unsigned count = atomic_load_explicit(&rt->record_count, memory_order_acquire);
	int64_t now = 0;
	bool more = false;

	if (chaos_at(w, CHAOS_TIMERS))
		return false;
	/* relaxed: a hint, as below. */
	if (atomic_load_explicit(&rt->depot.due, memory_order_relaxed) != WEFT_FOREVER) {
		now = weft__clock_now();
		more = weft__depot_tend(&rt->depot, now, w);
	}
	for (unsigned i = 0; i < count; i++) {
		struct worker *armer = rt->records[i];
		/* A hint; these look again. */
		if (worker_earliest(armer) == WEFT_FOREVER)
			continue;
		if (now == 0)
			now = weft__clock_now();
		weft__expire(w, &armer->timers, now, beside);
		weft__scopes_expire_of(w, &armer->scopes, now);
	}
	return more;
}

/* By the leader: see due.c. */
static struct task *serve_due(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	weft__clear_due(rt);
	run_timers(w, true);
	int64_t timer = weft__earliest_timer(rt);
	/* relaxed: see timekeeper.c. */
	if (timer < atomic_load_explicit(&rt->keeper_deadline, memory_order_relaxed))
		weft__timekeeper_engage(w, timer);
	return weft__from_injection(w, 1, STACK_GET);
}

/* The leader's pick where the order has its turn. */
static struct task *serve_fair(struct worker *w)
{
	run_timers(w, true);
	struct task *t = pick_fair(w);
	if (!w->overflowed && !weft__wfcq_empty(&w->rt->injection))
		weft__announce_due(w->rt);
	return t;
}

static int64_t spin_ns(const struct worker *w)
{
	return (int64_t)w->rt->config.spin_us * 1000;
}

/* w has something to do: notes whether it had been without for so short that it pays to spin. */
static void end_idle(struct worker *w)
{
	if (w->idle_since == 0)
		return;
	int64_t end = w->roused_at ? w->roused_at : weft__clock_now();
	w->short_idles = (uint8_t)(w->short_idles << 1 | (end - w->idle_since < spin_ns(w)));
	w->idle_since = 0;
}

/* Looks everywhere: once, or for as long as configured if that has paid lately. */
static struct task *search(struct worker *w)
{
	int64_t spin = spin_ns(w);
	int64_t give_up = 0;

	if (!w->searching && !weft__search_start(w))
		return NULL;
	for (;;) {
		struct task *t = chaos_at(w, CHAOS_STEAL) ? NULL : weft__steal(w);
		/* A batch may have begun with one that cannot start. */
		if (!t)
			t = weft__from_ring(w, STACK_GET);
		if (!t)
			t = weft__from_deque(w, STACK_GET);
		if (!t)
			t = weft__from_inbox(w, STACK_GET);
		if (!t)
			t = weft__from_injection(w, INJECTION_BATCH, STACK_GET);
		if (t || spin == 0)
			return t;
		/* What waits for a time does not wait for the search's end; it is woken into our
		 * slot. */
		bool more = run_timers(w, false);
		t = from_slot(w);
		if (t)
			return t;
		if (more) {
			give_up = 0;
			continue;
		}
		int64_t now = weft__clock_now();
		if (w->idle_since == 0) {
			w->idle_since = now;
			w->roused_at = 0;
		}
		t = weft__watch_between(w, now);
		if (t)
			return t;
		/* Who spares a ring would get up from its sleep for what is in it. */
		if (!w->spares_rings) {
			if (!(w->short_idles & IDLES_SEEN))
				return NULL;
			if (give_up == 0)
				give_up = now + spin;
			else if (now >= give_up)
				return NULL;
		}
		for (unsigned i = 0; i < SEARCH_PAUSES; i++)
			weft__cpu_relax();
	}
}

/* The whole order, and all that is not in it. *ret_more: as run_timers(). */
static struct task *look_around(struct worker *w, bool *ret_more)
{
	struct task *t;

	*ret_more = false;
	if (w->fair) {
		/* One that was told to retire on the way here takes nothing that is due, so it leaves
		 * DUE to the others. */
		t = w->due && !w->retires ? serve_due(w) : serve_fair(w);
		w->fair = w->due = false;
		if (t)
			return t;
	}
	t = weft__pick_local(w, STACK_GET);
	if (t || w->fair)
		return t;

	t = weft__from_inbox(w, STACK_GET);
	if (!t && !w->retires && is_due(w->rt))
		t = serve_due(w);
	if (!t)
		t = weft__from_injection(w, INJECTION_BATCH, STACK_GET);
	if (!t)
		t = weft__starved_take(w);
	if (t)
		return t;
	*ret_more = run_timers(w, false);
	return weft__pick_local(w, STACK_GET);
}

/* What the pick that was put off has taken out of its queue already, or NULL. */
static struct task *resume_pick(struct worker *w)
{
	struct task *t = w->put_off_task;

	w->put_off = false;
	w->put_off_task = NULL;
	return startable(w, t, STACK_GET);
}

struct task *weft__find(struct worker *w)
{
	if (w->put_off) {
		struct task *t = resume_pick(w);
		if (t)
			return t;
	}
	for (;;) {
		/* acquire: pairs with the release of who stops the runtime. */
		if (atomic_load_explicit(&w->rt->stopped, memory_order_acquire))
			return NULL;
		w->retires = atomic_load_explicit(&w->retiring, memory_order_relaxed);
		if (w->retires) {
			/* It was perhaps woken, hence counted, for work that it will not look
			 * for. */
			if (w->searching)
				weft__search_stop(w);
			weft__hand_over(w);
			if (w->pinned == 0 && weft__worker_leave(w))
				return NULL;
		}
		bool more;
		struct task *t = look_around(w, &more);
		if (!t && w->fair)
			continue;
		if (!t && !w->retires)
			t = search(w);
		if (t) {
			if (w->searching)
				weft__search_stop(w);
			end_idle(w);
			return t;
		}
		/* The depot is ours to tend, and no keeper comes before a window has passed. */
		if (more)
			continue;
		weft__sleep_announce(w);
		t = weft__from_inbox(w, STACK_GET);
		if (!t && !w->retires)
			t = weft__from_injection(w, 1, STACK_GET);
		if (t)
			weft__get_up(w);
		else
			t = weft__sleep(w);
		t = or_handed(w, t);
		if (t) {
			if (w->searching)
				weft__search_stop(w);
			end_idle(w);
			return t;
		}
	}
}

void weft__hand_over(struct worker *w)
{
	struct task *t;

	while ((t = from_slot(w)))
		weft__inject(w->rt, t);
	while ((t = weft__ring_pop(&w->ring)))
		weft__inject(w->rt, t);
	while ((t = weft__deque_pop(&w->deque)))
		weft__inject(w->rt, t);
	w->overflowed = false;
}
