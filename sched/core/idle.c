/* SPDX-License-Identifier: MIT */
/*
 * Workers that go to sleep, and the protocol by which other threads wake them (rouse.c). No wake-up
 * is lost, few are superfluous, and an idle runtime uses no CPU.
 *
 * The problem. A thread that makes a task visible should wake a worker only if one is needed: a
 * wake-up costs microseconds. A worker that finds nothing should sleep only if there is nothing.
 *
 * Rejected designs.
 *   - A condition variable around one queue. It takes a lock on every push.
 *   - A wake-up on every push. bthread does that, and its spawns are eight times slower.
 *   - A periodic tick that looks for stranded work. It uses CPU when idle, and adds latency when
 *     not.
 *
 * The design is Go's, with asymmetric fences. `idle` holds two counts: searchers, which are awake
 * and look for work, and sleepers.
 *
 *   making a task visible (announce)       going to sleep
 *     store the task in a queue              searchers - 1, sleepers + 1 (one atomic operation)
 *     light fence                            heavy fence
 *     load idle                              load every queue: not empty: do not sleep
 *     sleepers and no searchers: wake one    wait
 *
 * Store-load race: at least one side sees the other's store. So if the announcer sees no sleeper,
 * that worker's look at the queues comes later and finds the task.
 *
 * The heavy fence is needed against other workers only, as only they fence lightly. Other threads
 * fence fully (ready.c, and weft__nudge()). So a worker fences fully instead if no other worker is
 * awake, by awake_count. There are two cases for each other worker. (a) It slept before this one
 * was announced. Then what it had stored is seen, by idle_lock. (b) It is woken later. Then it will
 * see this sleeper. A worker on the list may still find a task in its last look and no stack for
 * it. It puts that task aside with a light fence. It then naps, and asks for a stack again.
 *
 * An announcer that sees a searcher wakes nobody, since that searcher will look at the queue before
 * it sleeps. But the searcher may find another task instead. So the last searcher to stop looks
 * around once more. It fences heavily first, for the same race, and wakes another worker if there
 * is more to do. A woken worker is a searcher from the moment it is woken. So a burst of
 * announcements wakes one worker, which wakes the next.
 *
 * Deadlines, of tasks and of the depot. One sleeper, the keeper, waits for the earliest one.
 * `keeper_deadline` says until when it sleeps.
 *
 *   arming (announce_timer)                going to sleep
 *     store earliest of a tree               sleepers + 1
 *     light fence                            heavy fence
 *     load idle, keeper_deadline             load earliest of every tree
 *     sleepers, keeper later: wake one       become the keeper if that is before keeper_deadline
 *
 * If no worker sleeps, the timekeeper keeps the deadline instead (timekeeper.c). It has the same
 * post as the keeper: whichever of them leaves the post sets post_left. Then the last searcher
 * checks, with a heavy fence, whether the timekeeper must be engaged.
 *
 * A leader does not announce a deadline that its task has armed before it runs another task. It may
 * be about to keep that deadline itself. So the deadline stays unannounced (timer_armed) until the
 * worker is ASLEEP. If the worker gets up earlier, it announces the deadline when it runs what it
 * has found.
 *
 * A woken worker becomes the keeper, when it sleeps again, if its deadline is earlier. When a
 * keeper gets something else to do, the last searcher wakes the next keeper. The last searcher is
 * that worker itself, or another one that stops later.
 *
 * rouse.c says which worker is woken for what, and why a task may be handed to a sleeper.
 *
 * The states of a worker (enum sleep_state in worker.h), and the functions that change them:
 *
 *   RUNNING ──► weft__search_start() ──► SEARCHING ──► weft__search_stop() ──► RUNNING
 *
 *   RUNNING, SEARCHING
 *      │ weft__sleep_announce()
 *      ▼
 *   LOOKING_LAST ────────► weft__get_up() ─────────────────┐
 *      │ weft__sleep()                                     │
 *      ▼                                                   ▼
 *   ASLEEP ──────────────► weft__get_up() ─────────────► SEARCHING
 *      │ take_sleeper_locked(), by a waker, which also     ▲
 *      │ takes a worker that is LOOKING_LAST               │
 *      ▼                                                   │
 *   TAKEN                                                  │
 *      │ rouse(), by the same waker                        │
 *      ▼                                                   │
 *   ROUSED_TO_SEARCH, ROUSED_TO_WATCH ──► await_rouse() ───┤
 *   ROUSED_WITH_TASK ──► await_rouse() ──► RUNNING, or ────┘
 *
 * Beside this a worker may have duties (struct worker_duties), in any of these states. It watches
 * the next slots, it asks for a stack again, it announces a deadline, or it retires. The keeper
 * keeps deadlines: runtime.keeper says who it is.
 */
#include "idle.h"

#include "chaos.h"
#include "coros.h"
#include "due.h"
#include "events.h"
#include "rouse.h"
#include "sleepers.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/fence.h"
#include "src/base/futex.h"
#include "starve.h"
#include "stop.h"
#include "timekeeper.h"
#include "trim.h"
#include "watch.h"

#include <errno.h>

#define STARVE_NS ((int64_t)5000000) /* how often a worker asks for a stack again (starve.c) */

bool weft__search_start(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	/* relaxed: a few searchers too many do no harm. */
	if (SEARCHERS(load_relaxed(&rt->idle)) >= rt->searchers_max)
		return false;
	fetch_add_seq_cst(&rt->idle, SEARCHER);
	store_relaxed(&w->sleep.state, SEARCHING);
	return true;
}

enum seen {
	SEEN_NOTHING = 0,
	SEEN_READY = 1,     /* in a ring */
	SEEN_UNSTARTED = 2, /* in a deque, or in the queue for stacks */
	SEEN_SLOT = 4,      /* in a slot, or the only task in another worker's deque */
};

/* What there is for any worker to take, up to the first ready task. By self, after a heavy
 * fence. */
static unsigned look_at_workers(struct worker *self)
{
	struct weft_runtime *rt = self->rt;
	unsigned seen = SEEN_NOTHING;

	if (load_relaxed(&rt->starved_count) > 0)
		seen |= SEEN_UNSTARTED;

	weft__rcu_lock();
	struct worker_table *table = worker_table(rt);
	for (unsigned i = 0; i < table->count && !(seen & SEEN_READY); i++) {
		struct worker *w = table->workers[i];
		if (!weft__ring_empty(&w->ring))
			seen |= SEEN_READY;
		size_t unstarted = weft__deque_size(&w->deque);
		/* A worker that lacks a stack watches for none: it asks again after a while. */
		if (unstarted > (w == self || self->duties.starving ? 0 : 1))
			seen |= SEEN_UNSTARTED;
		if (unstarted == 1 || load_relaxed(&w->slot.task))
			seen |= SEEN_SLOT;
	}
	weft__rcu_unlock();
	return seen;
}

int64_t weft__earliest_timer(struct weft_runtime *rt)
{
	/* acquire: pairs with the release that published the record. */
	unsigned count = load_acquire(&rt->record_count);
	int64_t earliest = WEFT_FOREVER;

	for (unsigned i = 0; i < count; i++) {
		int64_t e = worker_earliest(rt->records[i]); /* after the heavy fence, see above */
		if (e < earliest)
			earliest = e;
	}
	return earliest;
}

/* The same, including the depot's deadline. */
static int64_t earliest_deadline(struct weft_runtime *rt)
{
	int64_t timer = weft__earliest_timer(rt);
	/* relaxed: as above. */
	int64_t depot = load_relaxed(&rt->depot.due);

	return timer < depot ? timer : depot;
}

/* Whether no sleeper waits for the earliest deadline. After the heavy fence. */
static bool deadline_unkept(struct weft_runtime *rt)
{
	return earliest_deadline(rt) < load_relaxed(&rt->keeper_deadline);
}

/* What the last searcher must do for the others while no worker sleeps. By its leader. */
static void pass_on_duties(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	/* store-load race with weft__announce_due() and time_has_come(): searchers - 1, then the
	 * queue and post_left. They fence fully, so a full fence suffices here. */
	weft__fence_full();
	if (!weft__wfcq_empty(&rt->injection) && !w->pick.overflowed)
		weft__announce_due(rt);
	weft__events_be_missed(w);
	/* relaxed: the change of idle has published it. acquire: how the post was left, released by
	 * take_sleeper_locked() and push_sleeper_locked() (sleepers.h). One step, so that a later
	 * post_left is not overwritten. */
	if (!load_relaxed(&rt->post_left) || !exchange_acquire(&rt->post_left, false))
		return;
	/* store-load race with weft__announce_timer(): keeper_deadline, then the deadlines */
	weft__fence_heavy();
	int64_t timer = weft__earliest_timer(rt);
	if (timer < load_relaxed(&rt->keeper_deadline))
		weft__timekeeper_engage(w, timer);
}

void weft__search_stop(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	store_relaxed(&w->sleep.state, RUNNING);
	if (w->duties.watches) {
		/* release: our raids, for the next watcher. The heavy fence comes later, and then a
		 * look at the slots. */
		w->duties.watches = false;
		store_release(&rt->watching, 0);
	}
	uint64_t idle = fetch_sub_seq_cst(&rt->idle, SEARCHER);
	if (SEARCHERS(idle) > 1)
		return;
	if (SLEEPERS(idle) == 0) {
		pass_on_duties(w);
		return;
	}
	/* store-load race with weft__announce(): searchers - 1, then the queues */
	weft__fence_heavy();
	unsigned seen = look_at_workers(w);
	bool work = (seen & (SEEN_READY | SEEN_UNSTARTED)) || !weft__wfcq_empty(&rt->injection);
	bool unwatched = (seen & SEEN_SLOT) && !load_relaxed(&rt->watching);
	bool unkept = deadline_unkept(rt);
	weft__events_be_missed(w);
	/* relaxed: as in weft__wake_to_keep(). */
	if (unkept)
		store_relaxed(&rt->post_left, true);
	if ((work || unwatched || unkept) && !weft__wake_one(rt, true, unwatched))
		pass_on_duties(w);
}

void weft__sleep_announce(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	counter_add(&w->counters.sleeps, 1);
	weft__shed_coros(w);
	w->sleep.roused_at = 0;
	weft__lock(&rt->idle_lock);
	push_sleeper_locked(w);
	bool last_awake = rt->awake_count == 0;
	weft__unlock(&rt->idle_lock);
	/* relaxed: a thread that sets it then wakes the workers on the list, under the lock. A
	 * worker that joins the list later sees the flag by that lock. */
	if (load_relaxed(&rt->starving))
		weft__drop_idle_coros(w);
	weft__trim_worker(w);
	/* store-load race with announce and nudge: see above */
	if (last_awake)
		weft__fence_full();
	else
		weft__fence_heavy();
}

/*
 * Waits until the thread that took w off the list has roused it. Afterwards w is a searcher, unless
 * it was handed a task. With a task it is a searcher too if it watches, was not fast asleep, or
 * lacks a stack (starve.c). rouse.c says why.
 *
 * @fast_asleep  w was ASLEEP, and not only LOOKING_LAST.
 */
static void await_rouse(struct worker *w, bool fast_asleep)
{
	uint32_t state;

	/* acquire: pairs with rouse() (rouse.c). No wake-up is lost: the kernel sleeps only while
	 * the state is what we have seen. */
	while ((state = load_acquire(&w->sleep.state)) < ROUSED_TO_SEARCH)
		weft__futex_wait(&w->sleep.state, state, WEFT_FOREVER);
	w->duties.watches |= state == ROUSED_TO_WATCH;
	bool searches = state != ROUSED_WITH_TASK || w->duties.watches || w->duties.starving ||
			!fast_asleep;
	if (state == ROUSED_WITH_TASK && searches)
		/* seq_cst: simple to read, as in push_sleeper_locked() (sleepers.h). */
		fetch_add_seq_cst(&w->rt->idle, SEARCHER);
	/* relaxed: nobody else reads it before we are on the list again. */
	store_relaxed(&w->sleep.state, searches ? SEARCHING : RUNNING);
	counter_add(&w->counters.nudges, 1);
}

/* Takes w off the list by itself, unless another thread was faster. w is a searcher afterwards, or
 * as await_rouse() leaves it. */
void weft__get_up(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	weft__lock(&rt->idle_lock);
	bool listed = is_listed(w);
	if (listed)
		take_sleeper_locked(rt, w, SEARCHER);
	weft__unlock(&rt->idle_lock);
	if (listed)
		store_relaxed(&w->sleep.state, SEARCHING);
	else
		await_rouse(w, false);
}

/* Makes w the keeper if there is a deadline before the present keeper's. Returns the time until
 * which w may sleep. */
static int64_t keep_time(struct worker *w)
{
	struct weft_runtime *rt = w->rt;
	int64_t deadline = earliest_deadline(rt);

	if (deadline >= load_relaxed(&rt->keeper_deadline))
		return WEFT_FOREVER;
	weft__lock(&rt->idle_lock);
	if (!is_listed(w) || deadline >= load_relaxed(&rt->keeper_deadline)) {
		deadline = WEFT_FOREVER;
	} else {
		rt->keeper = w;
		store_relaxed(&rt->keeper_deadline, deadline);
	}
	weft__unlock(&rt->idle_lock);
	return deadline;
}

void weft__sign_off(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	w->duties.timer_armed = false;
	/* store-load race with weft_runtime_destroy() and with a worker that becomes the keeper */
	weft__fence_heavy();
	weft__stop_if_over(rt);
	if (deadline_unkept(rt) && !weft__wake_to_keep(rt))
		weft__timekeeper_engage(w, weft__earliest_timer(rt));
}

/* Whether a worker in the list of sleepers must get up at once. After the heavy fence. */
static bool must_get_up(struct worker *w, unsigned seen)
{
	struct weft_runtime *rt = w->rt;

	weft__stop_if_over(rt);
	if (load_relaxed(&rt->stopped) || w->duties.retires != load_relaxed(&w->life.retiring))
		return true;
	if (w->duties.retires)
		return w->pinned == 0;
	/* A worker that was refused a stack has just looked in vain for tasks that need none. */
	return (seen & SEEN_READY) || ((seen & SEEN_UNSTARTED) && !w->duties.starving);
}

/* Sleeps until w is woken, or until that time, or until there are events. Virtual time jumps there
 * at once, since nothing else can happen before. */
static int rest(struct worker *w, int64_t until, bool *ret_events)
{
	if (!w->rt->config.chaos.virtual_time || until == WEFT_FOREVER)
		return weft__events_sleep(w, until, ret_events);
	*ret_events = false;
	if (weft__events_look(w))
		return 0;
	weft__clock_reach(until);
	return -ETIMEDOUT;
}

/* Gives back what a burst of tasks has left with w. Before w waits. */
static void cool_down(struct worker *w)
{
	if (w->coros.first && !w->coros.first->cool)
		weft__cool_coros(w);
	weft__deque_shrink(&w->deque);
	weft__ring_shrink(&w->ring);
}

struct task *weft__sleep(struct worker *w)
{
	struct weft_runtime *rt = w->rt;
	unsigned seen = look_at_workers(w);
	struct watch watch = {0};
	struct task *found = NULL;
	uint32_t unwatched = 0;

	if (must_get_up(w, seen) || chaos_at(w, CHAOS_SLEEP)) {
		weft__get_up(w);
		return NULL;
	}
	int64_t until = keep_time(w);
	/* acquire: the last watcher's raids, so that no two go on at once in one slot. */
	if (!w->duties.watches && !w->duties.retires && (seen & SEEN_SLOT) &&
	    cas_acquire(&rt->watching, &unwatched, 1))
		w->duties.watches = true;
	/* This goes for a watcher too: without a stack it cannot take the only task of a deque. */
	if (w->duties.starving && ((seen & SEEN_UNSTARTED) || w->duties.watches)) {
		if (seen & SEEN_UNSTARTED)
			weft__note_stack_wait(w);
		int64_t again = weft__clock_now() + STARVE_NS;
		until = again < until ? again : until;
	}
	int64_t watch_ns = WATCH_NS;
	if (w->duties.watches) {
		found = weft__watch(w, &watch);
		if (found || watch.stuck) {
			weft__get_up(w);
			return found;
		}
	}
	/* relaxed: keep_time() has looked under the lock if there was something to keep. If it
	 * fails, w was taken off the list. */
	uint32_t looking = LOOKING_LAST;
	bool fast_asleep = cas_relaxed(&w->sleep.state, &looking, ASLEEP);
	/* A worker that gets up before announces its new deadlines: see above. */
	if (fast_asleep)
		w->duties.timer_armed = false;

	call_hook(w, rt->hooks.sleep);
	for (;;) {
		if (!w->duties.watches)
			cool_down(w);
		int64_t nap = w->duties.watches
				      ? weft__clock_now() + (watch.filled ? WATCH_NS : watch_ns)
				      : until;
		if (nap > until)
			nap = until;
		bool events;
		int rc = rest(w, nap, &events);
		/* acquire: pairs with rouse() (rouse.c). */
		bool woken = load_acquire(&w->sleep.state) != ASLEEP;
		if (woken)
			await_rouse(w, fast_asleep);
		else if (events)
			weft__get_up(w);
		if (events)
			weft__events_deliver(w);
		if (woken || events)
			break;
		if (rc != -ETIMEDOUT)
			continue;
		if (w->duties.watches)
			found = weft__watch(w, &watch);
		if (found || watch.stuck || nap == until) {
			weft__get_up(w);
			break;
		}
		/* While the owners pick, no slot keeps a task for long, and it need not look so
		 * often. */
		watch_ns = watch.moved ? 2 * watch_ns : WATCH_NS;
		if (watch_ns > WATCH_MAX_NS)
			watch_ns = WATCH_MAX_NS;
		if (w->duties.watches && !watch.filled && !watch.moved) {
			w->duties.watches = false;
			weft__watch_stop(rt);
			if (look_at_workers(w) != SEEN_NOTHING) {
				weft__get_up(w);
				break;
			}
		}
	}
	call_hook(w, rt->hooks.wake);
	return found;
}
