/* SPDX-License-Identifier: MIT */
#include "holder.h"

#include "atomic.h"
#include "compiler.h"
#include "fatal.h"

/* The assumed room on a stack whose bounds are unknown. It is a thread's stack, which is no
 * smaller. */
#define WITHIN_THREAD ((size_t)16 << 10)

/* Relaxed everywhere. It is always set to the same function. */
static _Atomic(size_t (*)(uintptr_t)) asked;

void weft__holder_ask(size_t (*room_above)(uintptr_t place))
{
	store_relaxed(&asked, room_above);
}

/* Stays: the pointer is to room_above() of src/coro.c. */
static WEFT__STAYS size_t room_above(uintptr_t place)
{
	size_t (*ask)(uintptr_t) = load_relaxed(&asked);
	size_t room = ask ? ask(place) : 0;

	return room ? room : WITHIN_THREAD;
}

__attribute__((noinline)) void weft__holder_check(uint32_t word)
{
	uint32_t own = weft__holder_mark() >> WEFT__HOLDER_SHIFT;
	uint32_t holder = word >> WEFT__HOLDER_SHIFT;
	uint32_t above = (holder - own) & (UINT32_MAX >> WEFT__HOLDER_SHIFT); /* KiB */

	/* Both marks are rounded down, so they may be one KiB further apart than the places are. */
	if (word == 0 || above == 0 ||
	    above > (room_above((uintptr_t)__builtin_frame_address(0)) >> 10) + 1)
		return;
	weft__fatal("a signal handler called Weft, and waits for a lock that the interrupted code "
		    "holds: call nothing of Weft there, and wait for signals with sigwait() in a "
		    "thread instead");
}
