/* SPDX-License-Identifier: MIT */
/* The wait protocol (wait.h): waking, waiting, and deadlines that have passed. */
#include "wait.h"

#include "cancel.h"
#include "chaos.h"
#include "early.h"
#include "execute.h"
#include "family.h"
#include "pick.h"
#include "ready.h"
#include "rouse.h"
#include "runtime.h"
#include "scope.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/compiler.h"
#include "src/base/eventfd.h"
#include "src/base/futex.h"
#include "src/base/orphan.h"
#include "src/base/pause.h"
#include "tls.h"

#include <errno.h>

/* How many expired deadlines are claimed while the lock of a tree is held once. */
#define EXPIRE_BATCH 64

/* How often a waker looks for PARKED before it leaves the wake to another thread. This takes a few
 * microseconds, about as long as the heavy fence that is needed to leave it. */
#define EARLY_LOOKS 8

void weft__wait_abandon(struct waiter *waiter)
{
	if (waiter->task)
		store_relaxed(&waiter->task->park, PARK_RUNNING);
}

bool weft__wait_claim_cancelled(struct waiter *waiter, struct wakeup *ret)
{
	*ret = weft__wakeup_of(waiter);
	/* Store-load race with weft__wait_take(), relaxed after the heavy fence: see wait.h. */
	if (waiter->lone && load_relaxed(&waiter->wanted))
		return false;
	return wait_claim_contended(waiter, WAIT_CANCELLED);
}

/* Waits for t to be parked: its thread is on the way from weft__wait_begin() to its switch. Returns
 * false if that takes long. In that case it has left the wake to another thread. */
static __attribute__((noinline, cold)) bool await_parked(struct task *t)
{
	for (unsigned looks = 0; looks < EARLY_LOOKS; looks++) {
		weft__pause(looks);
		if (weft__parked(t))
			return true;
	}
	weft__early_put(t);
	return false;
}

/* Whether t is parked, maybe after a short wait. By the waker of t. If it returns false, t is no
 * longer the caller's. */
static inline bool is_parked(struct task *t)
{
	return likely(weft__parked(t)) || await_parked(t);
}

/* Wakes a thread. Its frame, and with it the bell, may end once the signal is stored. */
static __attribute__((noinline)) void wake_thread(_Atomic uint32_t *signal)
{
	struct waiter *waiter = container_of(signal, struct waiter, signal);

	if (waiter->sleep)
		weft__eventfd_ring(waiter->bell);
	/* release: pairs with the acquire load in await_signal(). */
	store_release(signal, 1);
	weft__futex_wake(signal, 1);
}

void weft__wait_wake(struct wakeup wakeup)
{
	if (!wakeup.task) {
		wake_thread(wakeup.signal);
		return;
	}
	if (is_parked(wakeup.task))
		weft__ready(wakeup.task);
}

/* Whether w's next pick would take what is put into the next slot now, and that slot is empty. */
static inline bool slot_is_next(struct worker *w)
{
	uint32_t pick = weft__next_pick(w);

	if (weft__pick_is_special(w, pick) || load_relaxed(&w->slot.task))
		return false;
	return pick % WEFT__ORDERED_PICK != 0 ||
	       (weft__nothing_ready(w) && weft__deque_empty(&w->deque));
}

struct task *weft__wait_wake_next(struct worker *w, struct wakeup wakeup)
{
	struct task *t = wakeup.task;

	/* A task that is not parked yet is on another thread. */
	if (!t || t->rt != w->rt || t->pin != TASK_UNPINNED || !slot_is_next(w) ||
	    !weft__parked(t)) {
		weft__wait_wake(wakeup);
		return NULL;
	}
	weft__count_pick(w);
	counter_add(&w->counters.wakes, 1);
	return t;
}

/*
 * Makes the waiter visible to cancellers. Returns false in two cases, which must_end() handles. (a)
 * The task has been cancelled. (b) The task is a fork, and must first enter its family's list to be
 * visible.
 *
 * Store-load race with weft_cancel(): we store `waiting`, then read `cancel`; it sets
 * CANCEL_REQUESTED, then reads `waiting`. The canceller is the cold side. At least one of the two
 * sees the other.
 */
static bool cancel_show(struct task *t, struct waiter *waiter)
{
	/* release: the waiter's fields, for the canceller's acquire load. */
	store_release(&t->waiting, waiter);
	weft__fence_light();
	uint32_t cancel = load_relaxed(&t->cancel);
	return (cancel & (CANCEL_REQUESTED | CANCEL_REACHED)) == CANCEL_REACHED;
}

__attribute__((noinline, cold)) void weft__await_canceller(struct task *t)
{
	for (unsigned looks = 0; canceller_looks(t); looks++)
		weft__pause(looks);
}

/*
 * Ends cancel_show(). After the return no canceller looks at the waiter.
 *
 * Store-load race with weft_cancel(): we clear `waiting`, then read `cancel`; it sets CANCEL_BUSY,
 * then reads `waiting`. Either it finds NULL, or we find it busy and wait until it is done.
 */
static void cancel_hide(struct task *t)
{
	store_relaxed(&t->waiting, NULL);
	weft__fence_light();
	if (unlikely(canceller_looks(t)))
		weft__await_canceller(t);
}

/* Claims the waiter for a task that has found itself cancelled. Returns true if no waker was
 * faster. */
static bool cancel_itself(struct waiter *waiter)
{
	struct wakeup unused;

	/* The cancellation came after the wait began, since the waiter would not be lone otherwise.
	 * So this is rare. */
	if (waiter->lone)
		weft__fence_heavy(); /* store-load race with weft__wait_take(): see wait.h */
	return weft__wait_claim_cancelled(waiter, &unused);
}

/* Calls cancel_show(), by t, on w. Returns true if t is cancelled and no waker was faster. */
static inline bool must_end(struct worker *w, struct task *t, struct waiter *waiter)
{
	if (likely(cancel_show(t, waiter)))
		return false;
	/* The waiter is visible already; family.h says why. relaxed: our own bit, and a request,
	 * which publishes nothing. */
	if (!(load_relaxed(&t->cancel) & CANCEL_REACHED))
		weft__family_enter(w, t);
	return load_relaxed(&t->cancel) & CANCEL_REQUESTED && cancel_itself(waiter);
}

/*
 * Ends a wait before t has left w, because t is cancelled or its deadline has passed. t gives way
 * all the same. Otherwise a loop over such a wait could keep the very tasks from running that it
 * waits for. Returns the worker on which t goes on.
 */
static WEFT__MAY_HOP WEFT__MUST_USE __attribute__((noinline)) struct worker *
end_unsuspended(struct worker *w, struct task *t)
{
	store_relaxed(&t->park, PARK_RUNNING);
	/* A scope's deadline, which weft__family_enter() has armed. */
	if (w->duties.timer_armed)
		weft__announce_timer(w);
	return chaos_at(w, CHAOS_WAIT) ? w : give_way(w);
}

static inline WEFT__MAY_HOP void suspend_until_woken(struct worker *w, struct task *t)
{
	counter_add(&w->counters.parks, 1);
	w = weft__suspend(w, FATE_PARK, weft__pick_local(w, STACK_AT_HAND));
	store_relaxed(&t->park, PARK_RUNNING);
}

/* Arms the waiter's timer. If the deadline has passed, the task claims itself instead. Returns
 * false if that succeeded. */
static bool arm(struct worker *w, struct waiter *waiter, int64_t deadline)
{
	assert(!waiter->lone);
	waiter->timer.timers = NULL;
	if (deadline <= weft__clock_now())
		return !wait_claim_contended(waiter, WAIT_TIMEDOUT);
	weft__timer_arm(&w->timers, &waiter->timer, deadline);
	w->duties.timer_armed = true;
	return true;
}

/*
 * Waits in a task that has a deadline or has been cancelled.
 *
 * @shown    the wait is cancellable, and in no masked region.
 */
static WEFT__MAY_HOP __attribute__((noinline)) enum wait_outcome
wait_task(struct waiter *waiter, int64_t deadline, bool shown)
{
	struct worker *w = weft__worker();
	struct task *t = waiter->task;
	/* We claimed the waiter ourselves: no wake will come. */
	bool ended = shown && must_end(w, t, waiter);
	bool timed = deadline != WEFT_FOREVER && !ended;
	if (timed)
		ended = !arm(w, waiter, deadline);
	if (ended)
		w = end_unsuspended(w, t);
	else
		suspend_until_woken(w, t);

	if (timed && waiter->timer.timers)
		weft__timer_disarm(&waiter->timer);
	if (shown)
		cancel_hide(t);
	return wait_outcome(waiter);
}

struct worker *weft__wait_running(struct worker *w, struct waiter *waiter, struct task *next)
{
	struct task *t = waiter->task;
	bool shown = t->mask == 0;

	if (shown && must_end(w, t, waiter)) {
		weft__start_later(w, next);
		w = end_unsuspended(w, t);
	} else {
		weft__count_pick(w);
		if (unlikely(w->rt->config.chaos.on))
			weft__chaos_picked(w, next);
		counter_add(&w->counters.parks, 1);
		w = weft__suspend_to_start(w, FATE_PARK, next);
		store_relaxed(&t->park, PARK_RUNNING);
	}
	if (shown)
		cancel_hide(t);
	return w;
}

/* A thread's own way to sleep. It is no task, so it does not hop. */
static WEFT__STAYS int sleep_its_way(struct waiter *waiter, int64_t until)
{
	return waiter->sleep(waiter, until);
}

/*
 * Waits until the waiter is signalled or has claimed itself.
 *
 * @late  the scope with the earliest deadline, among those that the wait is in; or NULL.
 */
static void await_signal(struct waiter *waiter, int64_t deadline, struct scope *late)
{
	/* No wake-up is lost: the futex call sleeps only while signal is 0, and the waker stores 1
	 * before it wakes. */
	/* acquire: what the waker did before weft__wait_wake(). */
	while (!load_acquire(&waiter->signal)) {
		bool scopes = late && late->deadline <= deadline;
		int64_t until = scopes ? late->deadline : deadline;
		if (until == WEFT_FOREVER)
			weft__orphan_check();
		int rc = waiter->sleep ? sleep_its_way(waiter, until)
				       : weft__futex_wait(&waiter->signal, 0, until);
		if (rc != -ETIMEDOUT)
			continue;
		/* We are the canceller here. Either we claim the wait of the scope, or another
		 * thread has. */
		if (scopes)
			weft__scope_time_out(late);
		else if (wait_claim_contended(waiter, WAIT_TIMEDOUT))
			break;
		/* another thread has claimed it, and will signal */
		deadline = WEFT_FOREVER;
		late = NULL;
	}
}

static __attribute__((noinline)) enum wait_outcome wait_thread(struct waiter *waiter,
							       int64_t deadline, bool cancellable)
{
	struct scope *s = cancellable ? thread_scope() : NULL;

	if (!s) {
		await_signal(waiter, deadline, NULL);
		return wait_outcome(waiter);
	}
	struct task *t = &s->fork.task;
	if (!must_end(NULL, t, waiter))
		await_signal(waiter, deadline, weft__thread_scope_to_end());
	cancel_hide(t);
	return wait_outcome(waiter);
}

enum wait_outcome weft__wait(struct waiter *waiter, int64_t deadline, bool cancellable)
{
	struct task *t = waiter->task;

	if (unlikely(!t))
		return wait_thread(waiter, deadline, cancellable);
	bool shown = cancellable && t->mask == 0;
	if (unlikely(deadline != WEFT_FOREVER || (shown && !cancel_show(t, waiter))))
		return wait_task(waiter, deadline, shown);
	suspend_until_woken(weft__worker(), t);
	if (shown)
		cancel_hide(t);
	return wait_outcome(waiter);
}

unsigned weft__expire(struct worker *w, struct timers *timers, int64_t now, bool beside)
{
	unsigned total = 0;

	/* acquire: pairs with publish_earliest(). A hint: the lock decides. */
	while (load_acquire(&timers->earliest) <= now) {
		struct wakeup wakeups[EXPIRE_BATCH];
		unsigned count = 0;

		weft__lock(&timers->lock);
		while (count < EXPIRE_BATCH) {
			struct timer *t = weft__timers_pop_locked(timers, now);
			if (!t)
				break;
			struct waiter *waiter = container_of(t, struct waiter, timer);
			if (wait_claim_contended(waiter, WAIT_TIMEDOUT))
				wakeups[count++] = weft__wakeup_of(waiter);
		}
		weft__unlock(&timers->lock);

		for (unsigned i = 0; i < count; i++) {
			if (!beside) {
				weft__wait_wake(wakeups[i]);
				continue;
			}
			/* It is a task: threads have no timers. */
			if (is_parked(wakeups[i].task))
				weft__ready_due(w, wakeups[i].task);
		}
		counter_add(&w->counters.timers, count);
		total += count;
	}
	return total;
}
