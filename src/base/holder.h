/* SPDX-License-Identifier: MIT */
/*
 * The holder of a lock: a mark of the holder's place on its stack. Our locks keep the mark in their
 * word, instead of a 1. So a thread that waits for itself can find out.
 *
 * The problem. A signal handler that calls Weft may need a lock that the interrupted code holds. No
 * thread will ever unlock it.
 *
 * The design. The mark is the stack pointer in KiB, which costs two instructions and no memory. No
 * lock is held across a switch. So a holder that is further up on the caller's own stack belongs to
 * the same thread: it is the code that the caller has interrupted. A handler on an alternative
 * signal stack does not notice this.
 *
 * A mark has 30 bits, so two places 1 TiB apart have the same mark. A waiter therefore looks at it
 * only after a long time. A false alarm would need an unrelated holder that is off the processor
 * for as long.
 *
 * Rejected: the thread's number. It is thread-local, so each lock would need a call (tls.c). A mark
 * also cannot become stale after a hop, because a coroutine's stack does not change.
 */
#ifndef WEFT_SRC_BASE_HOLDER_H
#define WEFT_SRC_BASE_HOLDER_H

#include <stddef.h>
#include <stdint.h>

/* The other bits of the word, which belong to the lock. */
#define WEFT__HOLDER_SHIFT 2

/* The caller's mark, shifted. It stays the caller's mark across any switch. */
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

/*
 * Sets the function that says how much of the memory above `place`, which lies in the caller's
 * frame, certainly belongs to the same stack. It returns 0 if it does not know. The layer that
 * knows coroutines sets it, always to the same function (coro.c).
 */
void weft__holder_ask(size_t (*room_above)(uintptr_t place));

/* Aborts with one line if a lock's word names the code that the caller has interrupted. For slow
 * paths, after a long wait. */
void weft__holder_check(uint32_t word);

#endif
