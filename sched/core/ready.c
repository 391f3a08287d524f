/* SPDX-License-Identifier: MIT */
/*
 * Making tasks runnable: the queue that a task goes to, and the workers that are told.
 *
 *   task                               goes to
 *   woken by a worker of its runtime   that worker's next slot; the task that was there goes to the
 *                                      ring's tail
 *   woken by any other thread          a sleeper's hand (rouse.c), else the injection queue
 *   yielded                            the ring's tail
 *   deadline has passed                the next slot of the worker that sees it; if that has other
 *                                      tasks, the injection queue (due.c)
 *   ring full                          the injection queue
 *   new                                the deque; pinned: the inbox
 *   new, submitted from outside        as woken by any other thread
 *   pinned, woken                      its worker's inbox
 *
 * A task that wakes another one usually suspends soon, and its worker then goes on with the woken
 * task. So a pair of tasks that talk to each other stays on one worker and switches directly. If
 * the slot's owner does not suspend soon, a watcher empties the slot (watch.c).
 */
#include "ready.h"

#include "chaos.h"
#include "due.h"
#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/fence.h"
#include "tls.h"
#include "visit.h"

static void to_inbox(struct worker *target, struct task *t)
{
	weft__wfcq_enqueue(&target->inbox, &t->link);
	weft__nudge(target);
}

void weft__inject(struct weft_runtime *rt, struct task *t)
{
	weft__wfcq_enqueue(&rt->injection, &t->link);
	weft__announce_due(rt);
}

void weft__inject_from_outside(struct weft_runtime *rt, struct task *t)
{
	if (!weft__hand_to_sleeper(rt, t))
		weft__inject(rt, t);
}

/* Puts t at the ring's tail, which is in the injection queue while the ring overflows. Tells
 * nobody. */
static void to_ring(struct worker *w, struct task *t)
{
	if (!w->pick.overflowed && weft__ring_push(&w->ring, t, task_hint(t)))
		return;
	w->pick.overflowed = true;
	weft__wfcq_enqueue(&w->rt->injection, &t->link);
}

/* Sends away pinned tasks, and tasks that chaos sends away. Returns true if t is dealt with. w: the
 * caller's worker of t's runtime, or NULL. */
static bool sent_away(struct worker *w, struct task *t)
{
	if (t->pin != TASK_UNPINNED) {
		to_inbox(t->rt->records[t->pin], t);
		return true;
	}
	return w && w->rt->config.chaos.on && weft__chaos_send_away(w, t, CHAOS_READY);
}

void weft__ready_tail(struct worker *w, struct task *t)
{
	if (sent_away(w, t))
		return;
	to_ring(w, t);
	weft__announce(w->rt);
}

void weft__ready_due(struct worker *w, struct task *t)
{
	counter_add(&w->counters.wakes, 1);
	if (!sent_away(w, t))
		weft__wfcq_enqueue(&w->rt->injection, &t->link);
}

void weft__ready(struct task *t)
{
	struct worker *w = weft__worker();
	struct weft_runtime *rt = t->rt;

	if (!w || w->rt != rt) {
		visit_begin(rt);
		if (!sent_away(NULL, t))
			weft__inject_from_outside(rt, t);
		visit_end(rt);
		return;
	}
	counter_add(&w->counters.wakes, 1);
	if (sent_away(w, t))
		return;

	struct task *displaced = NULL;
	/* relaxed: only we fill the slot, so it is empty if it looks empty. */
	if (load_relaxed(&w->slot.task))
		/* acq_rel: against a watcher's exchange. */
		displaced = exchange_acq_rel(&w->slot.task, t);
	else
		/* release: the task, for the acquire in raid(). */
		store_release(&w->slot.task, t);
	if (displaced) {
		to_ring(w, displaced);
		weft__announce(rt);
	} else {
		weft__announce_slot(rt);
	}
}

void weft__start_later(struct worker *w, struct task *t)
{
	if (t->pin != TASK_UNPINNED) {
		to_inbox(w, t);
		return;
	}
	weft__start_later_unpinned(w, t, false);
}

void weft__start_later_full(struct worker *w, struct task *t)
{
	if (weft__deque_push_full(&w->deque, t))
		weft__announce_start(w);
	else
		weft__inject(w->rt, t); /* the deque cannot grow: no memory */
}
