/* SPDX-License-Identifier: MIT */
/*
 * The distance at which fields that different threads write do not slow each other down.
 */
#ifndef WEFT_SRC_BASE_CACHELINE_H
#define WEFT_SRC_BASE_CACHELINE_H

/* A cache line on x86-64 and on most aarch64 CPUs. Memory for a struct with fields of this
 * alignment comes from aligned_alloc(). */
#define WEFT__CACHE_LINE 64

#endif
