/* SPDX-License-Identifier: MIT */
/*
 * Timers and tickers. A timer becomes ready at a point in time. A caller waits for it alone, or as
 * a case of weft_select() beside channels.
 *
 *   weft_timer tick;
 *   weft_timer_init(&tick);
 *   weft_timer_reset(&tick, weft_after(SECOND), SECOND);
 *   struct weft_case cases[] = {{.op = WEFT_RECV, .chan = work, .elem = &item},
 *                               {.op = WEFT_TIMER, .timer = &tick}};
 *   while (weft_select(cases, 2, WEFT_FOREVER) >= 0)
 *           ...
 *
 * A timer is like a channel that holds one element, into which the clock sends. One caller takes an
 * expiry, by a wait or a select: the one that has waited longest. The element is a count: how often
 * the timer has expired since it was last taken. A ticker drops the ticks that nobody took in time,
 * and a count of 3 says that two were missed.
 *
 * A timer that nobody waits for costs nothing: no thread keeps watch over it. So it needs no
 * runtime, and you may forget it. All calls are made from any thread or task. Tasks that wait
 * suspend, and may hop; plain threads block. Tasks of a runtime with virtual time (time.h) and
 * threads outside of it have different clocks, and should not share a timer.
 *
 * If several callers wait for one timer, its expiry wakes all of them, and all except one wait
 * again.
 *
 * The objects lie in the caller's memory, under the rules of sync.h.
 */
#ifndef WEFT_TIMER_H
#define WEFT_TIMER_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* A timer: complete, so that it can be placed anywhere. Its content is Weft's. */
struct weft_timer {
	uint64_t weft_opaque_[24];
};

/* Makes a timer that is stopped. Does not suspend. */
WEFT_API void weft_timer_init(weft_timer *timer);

/* Ends it, armed or not. May be left out. Does not suspend. Misuse: it has waiters. */
WEFT_API void weft_timer_fini(weft_timer *timer);

/*
 * Arms the timer anew, whatever it was before.
 *
 * @expiry  the deadline at which it expires; at once, if that is 0 or has passed. WEFT_FOREVER:
 *          never.
 * @period  not positive: it expires once. Positive: it is a ticker, and expires again after every
 *          `period` ns. A tick that is taken late does not delay later ones.
 *
 * From any thread or task, also while others wait for the timer: they go on waiting, for the new
 * expiry. Does not suspend. After the return nobody takes an expiry of the time before, though a
 * call that took one before the reset may return later. Everything before the reset happens before
 * the return of each call that takes an expiry of it.
 *
 * Returns whether the timer was armed, or had an expiry that nobody had taken. false: it was
 * stopped, or its only expiry was taken.
 */
WEFT_API bool weft_timer_reset(weft_timer *timer, int64_t expiry, int64_t period);

/* Stops the timer: as weft_timer_reset(), except that it does not expire until it is reset. Waits
 * for it go on. */
WEFT_API bool weft_timer_stop(weft_timer *timer);

/*
 * Waits until the timer expires, and takes the expiry.
 *
 * @ret_ticks  receives how often it has expired since it was last taken: 1 if it is not a ticker.
 *             May be NULL.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). A cancellation point. If
 * the timer is stopped, the call waits until somebody resets it and it expires.
 *
 * Returns 0, or:
 *   -EINVAL     timer is NULL
 *   -ECANCELED  the calling task was cancelled while it would have waited, nothing was taken
 */
WEFT_API WEFT_MUST_CHECK int weft_timer_wait(weft_timer *timer, uint64_t *ret_ticks);

/* As weft_timer_wait(), but gives up at the deadline. -ETIMEDOUT: nothing was taken. A timer that
 * expires at the deadline is taken. */
WEFT_API WEFT_MUST_CHECK int weft_timer_wait_until(weft_timer *timer, uint64_t *ret_ticks,
						   int64_t deadline);

WEFT_END_DECLS

#endif
