/* SPDX-License-Identifier: MIT */
/*
 * Time is int64_t nanoseconds. Deadlines are absolute on CLOCK_MONOTONIC. With
 * WEFT_CHAOS=SEED,virtual tasks have a time of their own, which begins anew with each runtime. A
 * deadline of such a task means nothing to a plain thread.
 */
#ifndef WEFT_TIME_H
#define WEFT_TIME_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* Returns the time on CLOCK_MONOTONIC; in a task perhaps virtual time, see above. From any thread
 * or task. */
WEFT_API int64_t weft_now(void);

/* Returns the deadline ns from now: WEFT_FOREVER if that would overflow, now for a negative ns.
 * From any thread or task. */
WEFT_API int64_t weft_after(int64_t ns);

/*
 * Sleeps for ns. If ns is not positive it returns at once. From a task (which suspends, and may
 * hop) or any thread (which blocks).
 *
 * Returns 0, or -ECANCELED if the calling task was cancelled before the time was over.
 */
WEFT_API int weft_sleep(int64_t ns);

/* Sleeps until the deadline; as weft_sleep(). WEFT_FOREVER ends by cancellation only. */
WEFT_API int weft_sleep_until(int64_t deadline);

WEFT_END_DECLS

#endif
