/* SPDX-License-Identifier: MIT */
/*
 * Waking workers: which worker is woken, and for what. idle.c has the protocol, and the workers'
 * own side.
 *
 * A thread that makes a task visible announces it. If no worker searches, the announcement wakes
 * the worker that went to sleep last.
 *
 * A plain thread that submits or wakes a task, while no worker searches, hands it to a sleeper.
 * That worker does not become a searcher, and runs its task at once. Rejected: always through the
 * injection queue. A worker that is woken for that is a searcher. As the last one it fences and
 * looks everywhere before it runs the task.
 *
 * A task may be handed to a sleeper on which no other thread relies:
 *
 *  - It is ASLEEP: it has finished its last look, and waits. A worker that is taken off the list
 *    earlier still answers for what was announced while it searched, and for deadlines. So it
 *    becomes a searcher in await_rouse(), and looks around when it stops. It is counted late; the
 *    worst case is one unnecessary wake-up.
 *  - It is not the keeper. It may be the watcher, which only it knows. In that case it becomes a
 *    searcher, too.
 *
 * A worker never counts as a searcher unless it will look: announcers would rely on it. Searchers
 * may take a handed task (steal.c), as the worker's thread may have to wait for a processor. The
 * injection queue was empty, so the task overtakes none that came before.
 *
 * A task that is injected while all workers are busy is served by the next pick of one of them
 * (due.c).
 *
 * Next slots, and the only task of a deque, wake nobody while a worker watches them (watch.c).
 */
#include "rouse.h"

#include "chaos.h"
#include "coros.h"
#include "events.h"
#include "idle.h"
#include "sleepers.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/fence.h"
#include "src/base/futex.h"
#include "timekeeper.h"
#include "tls.h"

/* Rouses w, which the caller has taken off the list of sleepers. */
static void rouse(struct worker *w, enum sleep_state state)
{
	if (w->rt->config.spin_us > 0)
		w->sleep.roused_at = weft__clock_now();
	/* release: pairs with the acquires in weft__sleep() and await_rouse() (idle.c), for
	 * everything that we have left in w. */
	store_release(&w->sleep.state, state);
	/* It may be the lookout, or have been, and sleep on its futex now. */
	weft__events_interrupt(w);
	weft__futex_wake(&w->sleep.state, 1);
}

/* The worker to wake, which is not `except`. It is the one that went to sleep last: its caches are
 * the warmest. */
static struct worker *sleeper_locked(struct weft_runtime *rt, const struct worker *except)
{
	struct worker *self = rt->config.chaos.on ? weft__worker() : NULL, *w = NULL;
	bool longest = self && self->rt == rt && chaos_at(self, CHAOS_ROUSE);

	for (struct worker *s = rt->sleepers; s && (!w || longest); s = s->sleep.next) {
		if (!s->duties.retires && s != except)
			w = s;
	}
	return w;
}

bool weft__wake_one(struct weft_runtime *rt, bool searchers_do, bool to_watch)
{
	enum sleep_state state = ROUSED_TO_SEARCH;
	struct worker *w = NULL;

	weft__lock(&rt->idle_lock);
	/* relaxed: how many sleep changes only under the lock we hold; the number of searchers is a
	 * hint. */
	uint64_t idle = load_relaxed(&rt->idle);
	bool done = searchers_do && SEARCHERS(idle) > 0;
	if (!done) {
		w = sleeper_locked(rt, NULL);
		if (w)
			take_sleeper_locked(rt, w, SEARCHER);
		/* It is the watcher from now on, so no other slot wakes a worker before it is
		 * there. acquire: the last watcher's raids. */
		if (w && to_watch && !exchange_acquire(&rt->watching, 1))
			state = ROUSED_TO_WATCH;
	}
	weft__unlock(&rt->idle_lock);
	if (w)
		rouse(w, state);
	return done || w;
}

bool weft__wake_to_keep(struct weft_runtime *rt)
{
	/* relaxed: published by the change of idle; see pass_on_duties() (idle.c). */
	store_relaxed(&rt->post_left, true);
	return weft__wake_one(rt, false, false);
}

bool weft__wake_searcher(struct weft_runtime *rt)
{
	return weft__wake_one(rt, true, false);
}

void weft__announce(struct weft_runtime *rt)
{
	weft__fence_light(); /* store-load race with weft__sleep(): see idle.c */
	uint64_t idle = load_relaxed(&rt->idle);
	if (SLEEPERS(idle) > 0 && SEARCHERS(idle) == 0)
		weft__wake_one(rt, true, false);
}

bool weft__hand_to_sleeper(struct weft_runtime *rt, struct task *t)
{
	struct worker *w;
	/* relaxed, and no fence: a hint. If there is no sleeper, t goes to a queue and is
	 * announced. */
	uint64_t idle = load_relaxed(&rt->idle);

	if (SLEEPERS(idle) == 0 || SEARCHERS(idle) > 0 || !weft__wfcq_empty(&rt->injection))
		return false;
	weft__lock(&rt->idle_lock);
	w = sleeper_locked(rt, rt->keeper);
	if (w) {
		take_sleeper_locked(rt, w, 0);
		/* release: the task, for the acquire in from_hand() (rouse.h). */
		store_release(&w->sleep.handed, t);
	}
	weft__unlock(&rt->idle_lock);
	if (w)
		rouse(w, ROUSED_WITH_TASK);
	return w;
}

void weft__announce_slot(struct weft_runtime *rt)
{
	weft__fence_light(); /* store-load race with weft__sleep(): see idle.c */
	uint64_t idle = load_relaxed(&rt->idle);
	if (SLEEPERS(idle) > 0 && SEARCHERS(idle) == 0 && !load_relaxed(&rt->watching))
		weft__wake_one(rt, true, true);
}

void weft__announce_start(struct worker *w)
{
	/* If DUE is set no worker sleeps. The next join of a fork then takes the slow path, and
	 * gives way there (join_slowly() in fork.c). */
	w->inlining.span = 0;
	if (weft__deque_size(&w->deque) == 1)
		weft__announce_slot(w->rt);
	else
		weft__announce(w->rt);
}

void weft__announce_start_if_unsearched(struct worker *w)
{
	/* relaxed: the caller has looked after its fence, and found more than searchers. */
	if (SEARCHERS(load_relaxed(&w->rt->idle)) == 0)
		weft__announce_start(w);
}

void weft__announce_timer(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	weft__assert_may_be_slow(w);
	w->duties.timer_armed = false;
	weft__fence_light(); /* store-load race with weft__sleep(): see idle.c */
	uint64_t idle = load_relaxed(&rt->idle);
	int64_t kept = load_relaxed(&rt->keeper_deadline);
	int64_t timer = worker_earliest(w);
	int64_t depot = load_relaxed(&rt->depot.due);
	if (SLEEPERS(idle) > 0) {
		if ((timer < depot ? timer : depot) >= kept || weft__wake_to_keep(rt))
			return;
	}
	/* Busy workers tend the depot as well, so the timekeeper need not. */
	if (timer < kept)
		weft__timekeeper_engage(w, timer);
}

void weft__nudge(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	/* store-load race with weft__sleep(): see idle.c, with w's state for idle; by any
	 * thread */
	weft__fence_full();
	if (!is_listed(w))
		return;
	weft__lock(&rt->idle_lock);
	bool was_listed = is_listed(w);
	if (was_listed)
		take_sleeper_locked(rt, w, SEARCHER);
	weft__unlock(&rt->idle_lock);
	if (was_listed)
		rouse(w, ROUSED_TO_SEARCH);
}

void weft__wake_all(struct weft_runtime *rt)
{
	struct worker *woken = NULL;

	weft__lock(&rt->idle_lock);
	while (rt->sleepers) {
		struct worker *w = rt->sleepers;
		take_sleeper_locked(rt, w, SEARCHER);
		w->sleep.next = woken;
		woken = w;
	}
	weft__unlock(&rt->idle_lock);
	/* A worker that is off the list waits until it is roused (await_rouse() in idle.c). Until
	 * then its link is ours. After that it may be on the list again, so the link is read
	 * first. The last wake may end the runtime, so nothing is touched after it. */
	for (struct worker *w = woken, *next; w; w = next) {
		next = w->sleep.next;
		rouse(w, ROUSED_TO_SEARCH);
	}
}
