/* SPDX-License-Identifier: MIT */
/*
 * The distance at which two fields that different threads write do not slow each other down.
 */
#ifndef WEFT_SCHED_OS_CACHELINE_H
#define WEFT_SCHED_OS_CACHELINE_H

/* A line on x86-64 and on most aarch64 CPUs. Memory for a struct with fields aligned so comes from
 * aligned_alloc(). */
#define WEFT__CACHE_LINE 64

#endif
