/* SPDX-License-Identifier: MIT */
/*
 * The only place where the time is read. A seam: all deadlines are compared with what this says.
 */
#ifndef WEFT_SCHED_OS_CLOCK_H
#define WEFT_SCHED_OS_CLOCK_H

#include <stdint.h>

/* Nanoseconds on CLOCK_MONOTONIC. Any thread. About 20 ns where the vDSO has it. */
int64_t weft__clock_now(void);

#endif
