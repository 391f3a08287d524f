/* SPDX-License-Identifier: MIT */
/*
 * WEFT__NEVER_INLINE marks a function that looks up a per-thread value anew at each call. Examples
 * are errno's address, pthread_self() and a thread-local's address. The compiler takes such a value
 * for a constant of the calling function. But coroutines switch threads inside their callers, so no
 * caller may keep the value across calls.
 */
#ifndef WEFT_SRC_BASE_NEVER_INLINE_H
#define WEFT_SRC_BASE_NEVER_INLINE_H

#if defined(__GNUC__) && !defined(__clang__)
#define WEFT__NEVER_INLINE __attribute__((noinline, noipa))
#else
#define WEFT__NEVER_INLINE __attribute__((noinline))
#endif

#endif
