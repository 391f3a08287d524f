/* SPDX-License-Identifier: MIT */
/*
 * The only place where the time is read. A seam: all deadlines are compared with what this says.
 *
 * One thread of the process can have virtual time: it begins at the same value each time and moves
 * only when that thread moves it, or looks at it, and so is the same in each run that does the
 * same. The other threads have real time meanwhile, and so their deadlines, and sleeps in the
 * kernel, are what they always are. (Rejected: virtual time for the whole process. A deadline that
 * a plain thread has computed before, or from clock_gettime(), would then be another clock's.)
 */
#ifndef WEFT_SCHED_OS_CLOCK_H
#define WEFT_SCHED_OS_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Nanoseconds on CLOCK_MONOTONIC, or virtual ones. Any thread. About 20 ns where the vDSO has
 * it. */
int64_t weft__clock_now(void);

/* On CLOCK_MONOTONIC in any case: for sleeps that are no part of the schedule. Any thread. */
int64_t weft__clock_real(void);

/* Claims virtual time for a thread of the caller's: false if it is claimed already. Any thread. */
bool weft__clock_claim(void);

/* Gives it back, when no thread has virtual time any more. Any thread. */
void weft__clock_release(void);

/* Between these the calling thread, for which it was claimed, has virtual time. */
void weft__clock_begin_virtual(void);
void weft__clock_end_virtual(void);

/* By the thread that has virtual time: lets so much of it pass; makes it that late, unless it is
 * later already. */
void weft__clock_pass(int64_t ns);
void weft__clock_reach(int64_t time);

#endif
