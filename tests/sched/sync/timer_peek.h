/* SPDX-License-Identifier: MIT */
/* Looks into a timer to see how many wait for it. */
#ifndef WEFT_TESTS_SCHED_SYNC_TIMER_PEEK_H
#define WEFT_TESTS_SCHED_SYNC_TIMER_PEEK_H

#include "chan_peek.h"

#include "sched/sync/timer_chan.h"

#define HOUR ((int64_t)3600 * 1000 * 1000 * 1000)
#define SOON ((int64_t)1000 * 1000)

static inline weft_chan *chan_of(weft_timer *timer)
{
	return (weft_chan *)timer;
}

static inline unsigned timer_waiters(weft_timer *timer)
{
	return chan_waiters(chan_of(timer), WEFT_RECV);
}

static inline bool await_timer_waiters(weft_timer *timer, unsigned n)
{
	return await_waiters(chan_of(timer), WEFT_RECV, n);
}

/* Makes the timer look as if its time had come and nobody had noticed so far. */
UNSEEN void let_expire(weft_timer *timer)
{
	chan_lock(chan_of(timer));
	clock_slot(chan_of(timer))->deadline = 1;
	chan_unlock(chan_of(timer));
}

#endif
