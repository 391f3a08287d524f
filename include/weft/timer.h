/* SPDX-License-Identifier: MIT */
/*
 * Timers and tickers: something to wait for that becomes ready at a point in time, alone or as a
 * case of weft_select() beside channels.
 *
 *   weft_timer tick;
 *   weft_timer_init(&tick);
 *   weft_timer_reset(&tick, weft_after(SECOND), SECOND);
 *   struct weft_case cases[] = {{.op = WEFT_RECV, .chan = work, .elem = &item},
 *                               {.op = WEFT_TIMER, .timer = &tick}};
 *   while (weft_select(cases, 2, WEFT_FOREVER) >= 0)
 *           ...
 *
 * A timer is like a channel that holds one element, into which the clock sends. A receive of it, a
 * wait or a select, takes the expiry: one caller has it, the one that has waited longest. The
 * element is a count: how often the timer has expired since it was last taken. A ticker whose ticks
 * nobody took in time drops them, and a count of 3 says that two were missed.
 *
 * A timer that nobody waits for costs nothing: it is armed nowhere, and no thread keeps it. So it
 * needs no runtime, and may be forgotten. All calls are made from any thread or task. Tasks that wait
 * suspend, and may hop; plain threads block. Tasks of a runtime with virtual time (time.h) and
 * threads outside of it have different clocks, and should not share a timer.
 *
 * If several callers wait for one timer, its expiry wakes them all, and all but one wait again.
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

/* Ends it, armed or not. May be left out. Does not suspend. Misuse: it is waited for. */
WEFT_API void weft_timer_fini(weft_timer *timer);

/*
 * Arms the timer anew, whatever it was before.
 *
 * @expiry  the deadline at which it expires. 0: now. One that has passed: at once. WEFT_FOREVER:
 *          never.
 * @period  not positive: it expires once. Else it is a ticker, and expires again each time that so
 *          many ns have passed since. Late waiters do not delay later ticks.
 *
 * From any thread or task, also while others wait for the timer: they go on waiting, for the new
 * expiry. Does not suspend. After the return nobody takes an expiry of before, though a call that
 * took one before the reset may return later. Everything before the reset happens before the return
 * of each call that takes an expiry of it.
 *
 * Whether the timer was armed, or had expired and nobody had taken that. false: it was stopped, or
 * somebody has taken its only expiry.
 */
WEFT_API bool weft_timer_reset(weft_timer *timer, int64_t expiry, int64_t period);

/* Stops the timer: as weft_timer_reset(), but it does not expire until it is reset. Those who wait
 * for it go on waiting. */
WEFT_API bool weft_timer_stop(weft_timer *timer);

/*
 * Waits until the timer expires, and takes that.
 *
 * @ret_ticks  receives how often it has expired since it was last taken: 1 if it is no ticker. May
 *             be NULL.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). A cancellation point. A
 * timer that is stopped is waited for until somebody resets it.
 *
 * 0; -EINVAL: timer is NULL; -ECANCELED: the calling task was cancelled while it would have waited,
 * nothing was taken.
 */
WEFT_API WEFT_MUST_CHECK int weft_timer_wait(weft_timer *timer, uint64_t *ret_ticks);

/* As weft_timer_wait(), but gives up at the deadline. -ETIMEDOUT: nothing was taken. A timer that
 * expires at the deadline is taken. */
WEFT_API WEFT_MUST_CHECK int weft_timer_wait_until(weft_timer *timer, uint64_t *ret_ticks,
						   int64_t deadline);

WEFT_END_DECLS

#endif
