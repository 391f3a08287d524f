/* SPDX-License-Identifier: MIT */
/* A worker's counters: written by their worker only, read by anyone. */
#ifndef WEFT_CORE_COUNTERS_H
#define WEFT_CORE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

struct counters {
	_Atomic uint64_t spawned, completed, forked, inlined, steals, stolen, hops, switches, parks,
		wakes, yields, injected, sleeps, nudges, timers, stack_waits, blocking_waits;
};

/* relaxed: a statistic; one writer, so no read-modify-write is needed. */
static inline void counter_add(_Atomic uint64_t *c, uint64_t n)
{
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
}

#endif
