/* SPDX-License-Identifier: MIT */
/*
 * Timers as select sees them.
 *
 * The problem. A timer stands in a select beside channels. One caller only may take each expiry,
 * and the choice must be as fair as among channels. Any thread may reset or stop the timer while
 * others wait. No wake may be lost then, and nobody may take an expiry of an earlier setting. A
 * timer must work without a runtime, and cost nothing while nobody waits.
 *
 * The design, which is Go's since 1.23. A timer is a channel of capacity 1 whose sender is the
 * clock. It has a channel's lock, queue of receivers and one slot. So the channel code of select
 * also looks at timers, locks them, enqueues in them and takes from them. No thread sends. Instead,
 * each caller that looks at a timer first does what the clock would have done by then, under the
 * lock: fire_locked(). Each caller that waits for a timer has a deadline that is not later than the
 * timer's, and looks again at that deadline.
 *
 * Invariants, under the lock.
 *  1. While the slot is full, no receiver waits that could be claimed. The clock hands an expiry to
 *     the receiver that has waited longest. It fills the slot only if nobody waits.
 *  2. The deadline of each waiter is not after the timer's `deadline`. A select reads `deadline`
 *     and enqueues its nodes while it holds all its locks.
 *  3. `deadline` moves on in the same critical section in which an expiry goes into the slot or to
 *     a receiver. So each expiry is given once.
 *
 * Interleavings.
 *  - Reset to an earlier deadline, against a select that is about to wait. (a) The reset takes the
 *    lock first, and the select reads the new deadline. (b) The reset finds the select enqueued and
 *    claims it with TIMER_RETIMED, and the select starts again. No wake is lost. If the new
 *    deadline has already passed, the waiter that has waited longest gets the expiry at once. The
 *    other waiters stay where they are, unless a tick is due before they look again.
 *  - Reset to a later deadline, or stop. Nobody is woken. The waiters' deadlines are now too early,
 *    which invariant 2 allows. They look, find nothing and wait again. So a timeout that is put off
 *    again and again does not wake a waiter each time.
 *  - Reset or stop, against an expiry. Either the taker had the lock first and has the expiry, or
 *    the reset empties the slot. Nobody takes a stale expiry later.
 *  - A waiter's timeout, against a reset that claims the waiter. One claim wins (wait.h). In both
 *    cases the waiter looks again.
 *  - A waiter's timeout, against another caller that hands it the expiry. If the timeout wins, the
 *    other caller skips this waiter, as it skips every waiter that has given up. The expiry stays
 *    in the slot.
 *  - A partner in one of the channels, against a reset. One claim wins. If the reset's claim wins,
 *    the partner skips the waiter, and the waiter looks at that channel again.
 *
 * A select that starts again has lost its place in the queues of its channels.
 *
 * tests/models/timer.pml explores these interleavings.
 *
 * Rejected: a timer that is armed in a runtime's tree and sends. It would need a runtime, and an
 * owner that disarms it. A stop would have to wait for the worker that fires the timer, and each
 * reset would take the lock of another worker. Rejected: arming only the first waiter, so that an
 * expiry wakes one. Each waiter that leaves would have to pass that duty on.
 */
#ifndef WEFT_SYNC_TIMER_CHAN_H
#define WEFT_SYNC_TIMER_CHAN_H

#include "chan.h"
#include "src/base/compiler.h"

#include <weft/timer.h>

/* What a timer's channel has in the place of its slots. */
struct clock_slot {
	/* under the channel's lock */
	/* the element: how often the timer has expired; valid if the slot is full */
	uint64_t ticks;
	int64_t deadline; /* of the next expiry; WEFT_FOREVER if stopped */
	int64_t period;   /* 0: the timer expires once */

	/* for ThreadSanitizer */
	uint64_t armed;    /* stands for the last reset; only its address is used */
	uint64_t edges[2]; /* needed by the channel code; the clock's sends order nothing */
} __attribute__((may_alias));

static inline struct clock_slot *clock_slot(weft_chan *ch)
{
	return (struct clock_slot *)(void *)ch->slots;
}

/* The status of a node that was claimed because its timer was reset. All other statuses are 0 or
 * negative. */
#define TIMER_RETIMED 1

/*
 * Makes the clock send what is due to each timer among the cases. Returns the earliest of the
 * timers' deadlines and `deadline`. The caller holds the locks of all the timers. After the unlock
 * it must wake *handed with weft__timers_wake(). That list is linked by .next.
 */
int64_t weft__timers_fire_locked(const struct weft_case *cases, size_t n, int64_t deadline,
				 struct chan_node **handed);

/* The same for one timer after the other; takes each timer's lock itself. */
void weft__timers_fire(const struct weft_case *cases, size_t n);

void weft__timers_wake(struct chan_node *handed);

/* The caller has taken the timer's expiry. Orders the caller after the reset. */
void weft__timer_taken(weft_chan *ch);

/* weft_select() for cases that include timers. Returns -EINVAL if none does. */
WEFT__MAY_HOP int weft__select_timers(struct weft_case *cases, size_t n, int64_t deadline,
				      bool ordered, void *call);

#endif
