/* SPDX-License-Identifier: MIT */
/*
 * For a function that asks for what is a thread's, while the compiler takes it for a constant of
 * the function (errno's address, pthread_self(), a thread-local's address), and is called where
 * coroutines are switched: it asks anew at each call, and none of its callers keeps what it got.
 */
#ifndef WEFT_SRC_NEVER_INLINE_H
#define WEFT_SRC_NEVER_INLINE_H

#if defined(__GNUC__) && !defined(__clang__)
#define WEFT__NEVER_INLINE __attribute__((noinline, noipa))
#else
#define WEFT__NEVER_INLINE __attribute__((noinline))
#endif

#endif
