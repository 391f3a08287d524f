/* SPDX-License-Identifier: MIT */
#include "holder.h"

#include "fatal.h"
#include "src/coro.h"

#include <stddef.h>

/* The assumed room on a stack whose bounds are unknown. It is a thread's stack, which is no
 * smaller. */
#define WITHIN_THREAD ((size_t)16 << 10)

/* How much of the memory above `place` certainly belongs to the same stack. */
static size_t room_above(uintptr_t place)
{
	const struct coro *self = weft__thread()->current;

	if (self &&
	    place - (uintptr_t)self->stack.low < (size_t)(self->stack.top - self->stack.low))
		return (uintptr_t)self->stack.top - place;
	return WITHIN_THREAD;
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
