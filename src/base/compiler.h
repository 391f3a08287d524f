/* SPDX-License-Identifier: MIT */
/*
 * What we tell the compiler about conditions, functions and data.
 */
#ifndef WEFT_SRC_BASE_COMPILER_H
#define WEFT_SRC_BASE_COMPILER_H

/* Which way a condition usually goes. */
#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* The caller must look at the result. */
#define WEFT__MUST_USE __attribute__((warn_unused_result))

/*
 * A function that looks up a per-thread value anew at each call. Examples are errno's address,
 * pthread_self() and a thread-local's address. The compiler takes such a value for a constant of
 * the calling function. But coroutines switch threads inside their callers, so no caller may keep
 * the value across calls.
 */
#if defined(__GNUC__) && !defined(__clang__)
#define WEFT__NEVER_INLINE __attribute__((noinline, noipa))
#else
#define WEFT__NEVER_INLINE __attribute__((noinline))
#endif

/* A cache line on x86-64 and on most aarch64 CPUs: the distance at which fields that different
 * threads write do not slow each other down. Memory for a struct with fields of this alignment
 * comes from aligned_alloc(). */
#define WEFT__CACHE_LINE 64

#endif
