/* SPDX-License-Identifier: MIT */
/*
 * The clock. A function of its own rather than inline, so that a simulated clock can take its place
 * at link time.
 */
#include "sched/os/clock.h"

#include <time.h>

int64_t weft__clock_now(void)
{
	struct timespec now;

	/* Cannot fail: the clock exists and the address is good. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
