/* SPDX-License-Identifier: MIT */
/*
 * What we tell the compiler about conditions, functions and data, and two marks that our own checks
 * read.
 */
#ifndef WEFT_SRC_BASE_COMPILER_H
#define WEFT_SRC_BASE_COMPILER_H

#include <stddef.h>

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

/*
 * A hop: a function is called on one thread and returns on another one. The declaration of a
 * function says whether that may happen.
 *
 *   WEFT__MAY_HOP  The function may return on another thread. Its caller must not use a struct
 *                  worker, a struct weft__thread or errno's address from before the call. If the
 *                  function returns the worker on which its caller goes on, it is WEFT__MUST_USE as
 *                  well.
 *   WEFT__STAYS    The function switches, or calls through a pointer, and yet returns on the thread
 *                  that called it. A comment at its declaration says why. It is not inlined, so the
 *                  machine code shows it as well.
 *   no mark        The function never hops.
 *
 * A pointer may lead to a user's function. So each function that calls through a pointer has one of
 * the two marks.
 */
#define WEFT__MAY_HOP
#define WEFT__STAYS WEFT__NEVER_INLINE

/* The struct of that type whose member `ptr` points to. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* A cache line on x86-64 and on most aarch64 CPUs: the distance at which fields that different
 * threads write do not slow each other down. Memory for a struct with fields of this alignment
 * comes from aligned_alloc(). */
#define WEFT__CACHE_LINE 64

#endif
