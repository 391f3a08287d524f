/* SPDX-License-Identifier: MIT */
/*
 * Timers as select sees them.
 *
 * The problem. A timer stands in a select beside channels. It must be taken by one caller only, as
 * fairly as they are. Any thread may reset or stop it while others wait, and then no wake is lost
 * and no expiry of before is taken. It works without a runtime, and costs nothing while nobody waits.
 *
 * The design, Go's since 1.23. A timer is a channel of capacity 1 whose sender is the clock. It has
 * a channel's lock, queue of receivers and one slot, so select looks at it, locks it, enqueues in it
 * and takes from it by the code that it has for channels. Nothing sends by itself. Whoever looks at
 * a timer first does what the clock would have done until then, under the lock: fire_locked().
 * Whoever waits for one has a deadline that is not later than the timer's, and looks again then.
 *
 * Invariants, under the lock.
 *  1. The slot is full: no receiver waits that could be claimed. The clock hands an expiry to the
 *     one that has waited longest, and fills the slot only if nobody waits.
 *  2. Each waiter's own deadline is not after `deadline`. A select reads `deadline` and enqueues
 *     under one hold of all its locks.
 *  3. An expiry is put into the slot, or handed over, in the same hold in which `deadline` moves on.
 *     So each is given once.
 *
 * Interleavings.
 *  - reset to an earlier deadline, against a select that is about to wait: the reset comes first
 *    under the lock, and the select reads the new deadline; or it finds the select enqueued, claims
 *    it with TIMER_RETIMED, and the select starts anew. No wake is lost. If the new deadline has
 *    passed, the one that has waited longest has the expiry at once. The others stay where they are
 *    unless a tick is due before they look again.
 *  - reset to a later deadline, or stop: nobody is woken. The waiters' deadlines are too early then,
 *    which invariant 2 allows. They look, find nothing, and wait again. A timeout that is put off all
 *    the time wakes no waiter each time.
 *  - reset or stop, against an expiry: the taker was first under the lock, and has it, or the reset
 *    empties the slot. Nothing stale is taken later.
 *  - a waiter's timeout, against a reset that claims it: one claim wins (wait.h). In both cases the
 *    waiter looks again.
 *  - a waiter's timeout, against another caller that hands it the expiry: if the timeout wins, the
 *    giver passes over it, as over every waiter that has given up. The expiry stays in the slot.
 *  - a partner in one of the channels, against a reset: one claim wins. If it is the reset's, the
 *    partner passes over the waiter, which looks at the channel again.
 *
 * A select that starts anew has lost its place in its channels' queues.
 *
 * tests/models/timer.pml goes through the interleavings.
 *
 * Rejected: a timer that is armed in a runtime's tree, and sends. It would need a runtime, and an
 * owner that disarms it. A stop would have to wait for the worker that fires it, and each reset
 * would take another worker's lock. Rejected: to arm only the first waiter, so that an expiry wakes
 * one: each waiter that leaves would have to pass that duty on.
 */
#ifndef WEFT_SYNC_TIMER_CHAN_H
#define WEFT_SYNC_TIMER_CHAN_H

#include "chan.h"

#include <weft/timer.h>

/* What stands in the slots' place of a timer's channel. */
struct clock_slot {
	/* under the channel's lock */
	uint64_t ticks;   /* the element: how often it has expired; valid if the slot is full */
	int64_t deadline; /* of the next expiry; WEFT_FOREVER: stopped */
	int64_t period;   /* 0: it expires once */

	/* for ThreadSanitizer */
	uint64_t armed;    /* an address: the last reset */
	uint64_t edges[2]; /* what the channel's code has: nobody sends, so they order nothing */
} __attribute__((may_alias));

static inline struct clock_slot *clock_slot(weft_chan *ch)
{
	return (struct clock_slot *)(void *)ch->slots;
}

/* Of a node that was claimed because its timer was reset. No other status is positive. */
#define TIMER_RETIMED 1

/*
 * Has the clock send to the timers among the cases what is due. The caller holds the locks of all of
 * them, and wakes *handed, linked by .next, after the unlock (weft__timers_wake()). The earliest
 * deadline of the timers and `deadline`.
 */
int64_t weft__timers_fire_locked(const struct weft_case *cases, size_t n, int64_t deadline,
				 struct chan_node **handed);

/* The same for each timer by itself, without locks. */
void weft__timers_fire(const struct weft_case *cases, size_t n);

void weft__timers_wake(struct chan_node *handed);

/* The caller has taken the timer's expiry: orders it after the reset. */
void weft__timer_taken(weft_chan *ch);

/* weft_select() for cases with timers among them; -EINVAL if there are none. */
int weft__select_timers(struct weft_case *cases, size_t n, int64_t deadline, bool ordered,
			void *call);

#endif
