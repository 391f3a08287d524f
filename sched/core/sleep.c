/* SPDX-License-Identifier: MIT */
/* Time, and the simplest of all waits: for a deadline only. */
#include "src/base/clock.h"
#include "src/base/compiler.h"
#include "wait.h"

#include <weft/time.h>

#include <errno.h>

int64_t weft_now(void)
{
	return weft__clock_now();
}

int64_t weft_after(int64_t ns)
{
	int64_t now = weft__clock_now();

	if (ns <= 0)
		return now;
	return ns > WEFT_FOREVER - now ? WEFT_FOREVER : now + ns;
}

WEFT__MAY_HOP int weft_sleep(int64_t ns)
{
	return ns <= 0 ? 0 : weft_sleep_until(weft_after(ns));
}

WEFT__MAY_HOP int weft_sleep_until(int64_t deadline)
{
	struct waiter waiter;

	if (deadline <= weft__clock_now())
		return 0;
	weft__wait_begin(&waiter, false);
	return weft__wait(&waiter, deadline, true) == WAIT_CANCELLED ? -ECANCELED : 0;
}
