/* SPDX-License-Identifier: MIT */
/*
 * Finding work: how a leader finds its next task, and what it does while there is none.
 *
 * The order. The leader first makes its worker's own pick (pick.c). If that pick is the leader's,
 * the leader serves a due task (due.c), or else the sources that the usual order neglects. There
 * are four such sources, and each is first in its turn. If there is nothing, the leader looks at
 * the queues that all workers share, runs the timers, and then searches.
 *
 * Searching. At most half as many workers search at a time as there are processors. A searcher
 * steals (steal.c) and looks at the shared queues, for WEFT_SPIN microseconds. Then it sleeps
 * (idle.c).
 *
 * A worker searches for that long only if this would have paid lately: one of its last four times
 * without work ended within WEFT_SPIN. Otherwise it looks everywhere once. The kernel makes a
 * worker pay for the CPU time of a vain search: a thread that it wakes then gets its processor only
 * once it sleeps.
 */
#include "find.h"

#include "chaos.h"
#include "due.h"
#include "events.h"
#include "idle.h"
#include "pick.h"
#include "ready.h"
#include "rouse.h"
#include "scope.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/cpu_relax.h"
#include "starve.h"
#include "steal.h"
#include "timekeeper.h"
#include "wait.h"
#include "watch.h"
#include "workers.h"

#define FAIR_SOURCES    4
#define INJECTION_BATCH WEFT__INJECTION_BATCH
#define SEARCH_PAUSES   128
#define IDLES_SEEN      0xf /* the last four bits of worker.idle.shorts */

static_assert(WEFT__FAIR_BOUND == WEFT__LEADER_EVERY * FAIR_SOURCES,
	      "what the documentation promises");

/* Returns what w, which has slept, is to run: t, or the task that it was handed meanwhile. If there
 * are both, the handed task goes to the injection queue. A task that was submitted after it may
 * then overtake it. */
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

/* Picks from the sources that the order of weft__pick_local() neglects. Each source comes first in
 * its turn. */
static struct task *pick_fair(struct worker *w)
{
	struct task *t = NULL;

	for (unsigned i = 0; i < FAIR_SOURCES && !t; i++) {
		switch (w->pick.fair_turn++ % FAIR_SOURCES) {
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
 * Makes each task runnable whose time has come, whichever worker's tree of deadlines it is in, and
 * tends the depot. Returns whether the depot must be tended again at once.
 *
 * @beside  w has other tasks: the tasks go to the injection queue, and the caller tells the others.
 */
static bool run_timers(struct worker *w, bool beside)
{
	struct weft_runtime *rt = w->rt;
	/* acquire: pairs with the release that published the record. */
	unsigned count = load_acquire(&rt->record_count);
	int64_t now = 0;
	bool more = false;

	if (chaos_at(w, CHAOS_TIMERS))
		return false;
	/* relaxed: a hint, as below. */
	if (load_relaxed(&rt->depot.due) != WEFT_FOREVER) {
		now = weft__clock_now();
		more = weft__depot_tend(&rt->depot, now, w);
	}
	for (unsigned i = 0; i < count; i++) {
		struct worker *armer = rt->records[i];
		/* A hint. The calls below look again. */
		if (worker_earliest(armer) == WEFT_FOREVER)
			continue;
		if (now == 0)
			now = weft__clock_now();
		weft__expire(w, &armer->timers, now, beside);
		weft__scopes_expire_of(w, &armer->scopes, now);
	}
	return more;
}

/* Serves a due task: see due.c. Only the leader may call it. */
static struct task *serve_due(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	weft__clear_due(rt);
	run_timers(w, true);
	weft__events_look(w);
	weft__events_be_missed(w);
	int64_t timer = weft__earliest_timer(rt);
	/* relaxed: see timekeeper.c. */
	if (timer < load_relaxed(&rt->keeper_deadline))
		weft__timekeeper_engage(w, timer);
	return weft__from_injection(w, 1, STACK_GET);
}

/* The leader's fair pick, when nothing is due. */
static struct task *serve_fair(struct worker *w)
{
	run_timers(w, true);
	weft__events_look_now_and_then(w);
	struct task *t = pick_fair(w);
	if (!w->pick.overflowed && !weft__wfcq_empty(&w->rt->injection))
		weft__announce_due(w->rt);
	return t;
}

static int64_t spin_ns(const struct worker *w)
{
	return (int64_t)w->rt->config.spin_us * 1000;
}

/* w has found something to do. Notes whether it was without work for so short a time that spinning
 * pays. */
static void end_idle(struct worker *w)
{
	if (w->idle.since == 0)
		return;
	int64_t end = w->sleep.roused_at ? w->sleep.roused_at : weft__clock_now();
	w->idle.shorts = (uint8_t)(w->idle.shorts << 1 | (end - w->idle.since < spin_ns(w)));
	w->idle.since = 0;
}

/* Looks everywhere once. If spinning has paid lately, goes on for as long as configured. */
static struct task *search(struct worker *w)
{
	int64_t spin = spin_ns(w);
	int64_t give_up = 0;

	if (!is_searching(w) && !weft__search_start(w))
		return NULL;
	for (;;) {
		struct task *t = chaos_at(w, CHAOS_STEAL) ? NULL : weft__steal(w);
		/* A stolen batch may have begun with a task that cannot start. */
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
		/* Tasks whose time comes do not wait for the end of the search. They are woken into
		 * our next slot. */
		bool more = run_timers(w, false);
		t = from_slot(w);
		if (t)
			return t;
		if (more) {
			give_up = 0;
			continue;
		}
		int64_t now = weft__clock_now();
		if (w->idle.since == 0) {
			w->idle.since = now;
			w->sleep.roused_at = 0;
		}
		t = weft__watch_between(w, now);
		if (t)
			return t;
		/* A worker that leaves rings alone would get up from its sleep again for the tasks
		 * in them. */
		/* The sleep waits for events too. */
		if (weft__events_unseen(w->rt))
			return NULL;
		if (!w->thief.avoids_rings) {
			if (!(w->idle.shorts & IDLES_SEEN))
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

/* Looks through the whole order, and at all that is not in it. *ret_more is the result of
 * run_timers(). */
static struct task *look_around(struct worker *w, bool *ret_more)
{
	struct task *t;

	*ret_more = false;
	if (w->pick.fair) {
		/* A worker that was told to retire on the way here takes no due task. So it leaves
		 * DUE to the others. */
		t = w->pick.due && !w->duties.retires ? serve_due(w) : serve_fair(w);
		w->pick.fair = w->pick.due = false;
		if (t)
			return t;
	}
	t = weft__pick_local(w, STACK_GET);
	if (t || w->pick.fair)
		return t;

	t = weft__from_inbox(w, STACK_GET);
	if (!t && !w->duties.retires && is_due(w->rt))
		t = serve_due(w);
	if (!t)
		t = weft__from_injection(w, INJECTION_BATCH, STACK_GET);
	if (!t)
		t = weft__starved_take(w);
	if (t)
		return t;
	*ret_more = run_timers(w, false);
	weft__events_look(w);
	return weft__pick_local(w, STACK_GET);
}

/* Resumes a pick that was put off. Returns the task that it has taken out of its queue already, or
 * NULL. */
static struct task *resume_pick(struct worker *w)
{
	struct task *t = w->pick.put_off_task;

	w->pick.put_off = false;
	w->pick.put_off_task = NULL;
	return startable(w, t, STACK_GET);
}

struct task *weft__find(struct worker *w)
{
	if (w->pick.put_off) {
		struct task *t = resume_pick(w);
		if (t)
			return t;
	}
	for (;;) {
		/* acquire: pairs with the release in weft__stop(). */
		if (load_acquire(&w->rt->stopped))
			return NULL;
		w->duties.retires = load_relaxed(&w->life.retiring);
		if (w->duties.retires) {
			/* It may have been woken for work, and so be counted as a searcher. It will
			 * not look for that work. */
			if (is_searching(w))
				weft__search_stop(w);
			weft__hand_over(w);
			if (w->pinned == 0 && weft__worker_leave(w))
				return NULL;
		}
		bool more;
		struct task *t = look_around(w, &more);
		if (!t && w->pick.fair)
			continue;
		if (!t && !w->duties.retires)
			t = search(w);
		if (t) {
			if (is_searching(w))
				weft__search_stop(w);
			end_idle(w);
			return t;
		}
		/* We must tend the depot. A keeper would come only after a window has passed. */
		if (more)
			continue;
		weft__sleep_announce(w);
		t = weft__from_inbox(w, STACK_GET);
		if (!t && !w->duties.retires)
			t = weft__from_injection(w, 1, STACK_GET);
		if (t)
			weft__get_up(w);
		else
			t = weft__sleep(w);
		t = or_handed(w, t);
		if (t) {
			if (is_searching(w))
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
	w->pick.overflowed = false;
}
