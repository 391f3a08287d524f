/* SPDX-License-Identifier: MIT */
/*
 * For a function that asks for errno's address, which is a const function's result to the compiler,
 * and is called where coroutines are switched: it is to ask anew at each call, and none of its
 * callers is to keep what it got.
 */
#ifndef WEFT_SRC_NEVER_INLINE_H
#define WEFT_SRC_NEVER_INLINE_H

#if defined(__GNUC__) && !defined(__clang__)
#define WEFT__NEVER_INLINE __attribute__((noinline, noipa))
#else
#define WEFT__NEVER_INLINE __attribute__((noinline))
#endif

#endif
