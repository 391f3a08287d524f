/* SPDX-License-Identifier: MIT */
/*
 * The only place that reads the time. It is a seam: every deadline is compared with this clock.
 *
 * One thread of the process can have virtual time. Virtual time begins at the same value each time.
 * It moves only when that thread moves it or looks at it. So it is the same in each run that does
 * the same. The other threads keep real time, so their deadlines and their sleeps in the kernel do
 * not change.
 *
 * Rejected: virtual time for the whole process. A plain thread may have computed a deadline before,
 * or from clock_gettime(). That deadline would then belong to another clock.
 */
#ifndef WEFT_SRC_BASE_CLOCK_H
#define WEFT_SRC_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds on CLOCK_MONOTONIC, or virtual ones. Any thread. About 20 ns with a vDSO that has the
 * clock. */
int64_t weft__clock_now(void);

/* Nanoseconds on CLOCK_MONOTONIC in any case, for sleeps that are not part of the schedule. Any
 * thread. */
int64_t weft__clock_real(void);

/* Claims virtual time for a thread of the caller's. Returns false if it is claimed already. Any
 * thread. */
bool weft__clock_reserve(void);

/* Gives the claim back, after virtual time has ended. Any thread. */
void weft__clock_release(void);

/* Between these calls the calling thread has virtual time. It must have been claimed for this
 * thread. */
void weft__clock_begin_virtual(void);
void weft__clock_end_virtual(void);

/* For the thread that has virtual time. weft__clock_pass() lets `ns` pass. weft__clock_reach()
 * moves the clock to `time`, unless it is later already. */
void weft__clock_pass(int64_t ns);
void weft__clock_reach(int64_t time);

#endif
