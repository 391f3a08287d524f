/* SPDX-License-Identifier: MIT */
/*
 * Who holds a lock: a mark of the holder's place on its stack. Our locks keep it in their word, in
 * the place of a 1, so that a thread which waits for itself can find out.
 *
 * The problem. A signal handler that calls Weft may meet a lock that the code which it interrupted
 * holds. Nobody will ever unlock it.
 *
 * The mark is the stack pointer in KiB, which costs two instructions and no memory. (Rejected: the
 * thread's number. It is thread-local, so each lock would need a call, see tls.c. A mark cannot be
 * stale after a hop either, as stacks do not change.) No lock is held across a switch, so a holder
 * that is further up on the caller's own stack is below the caller in the same thread: the
 * interrupted code. A handler on an alternative signal stack does not see that.
 *
 * A mark has 30 bits, so two places 1 TiB apart have the same. Those who wait therefore look only
 * after a long time: the other holder would have to be off the processor for as long.
 */
#ifndef WEFT_SRC_HOLDER_H
#define WEFT_SRC_HOLDER_H

#include <stdint.h>

/* The word's other bits, which are the lock's own. */
#define WEFT__HOLDER_SHIFT 2

/* The caller's mark, shifted. Whatever a switch does, it is the caller's. */
static inline uint32_t weft__holder_mark(void)
{
	uintptr_t place;

#if defined(__x86_64__)
	__asm__("movq %%rsp, %0" : "=r"(place));
#elif defined(__aarch64__)
	__asm__("mov %0, sp" : "=r"(place));
#else
	place = (uintptr_t)__builtin_frame_address(0);
#endif
	return (uint32_t)(place >> 10) << WEFT__HOLDER_SHIFT;
}

/* Aborts with a line if the holder that a lock's word names is the code that the caller has
 * interrupted. For slow paths, after a long time. */
void weft__holder_check(uint32_t word);

#endif
