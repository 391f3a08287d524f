/* SPDX-License-Identifier: MIT */
/* A worker's counters: written by their worker only, read by anyone. */
#ifndef WEFT_CORE_COUNTERS_H
#define WEFT_CORE_COUNTERS_H

#include "src/sanitizer.h"

#include <stdatomic.h>
#include <stdint.h>

struct counters {
	_Atomic uint64_t spawned, completed, forked, inlined, steals, stolen, hops, switches, parks,
		wakes, yields, injected, sleeps, nudges, timers, stack_waits, blocking_waits;
};

/* relaxed: a statistic; one writer, so no read-modify-write is needed. */
static inline void counter_add(_Atomic uint64_t *c, uint64_t n)
{
#if defined(__x86_64__) && !WEFT__TSAN
	/* What a load, an addition and a store are, in one instruction; compilers make three of
	 * them, as the object is atomic. */
	__asm__("addq %1, %0" : "+m"(*(uint64_t *)c) : "re"(n) : "cc");
#else
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_relaxed);
#endif
}

/* The same for a counter whose reader is to see what came before. */
static inline void counter_add_release(_Atomic uint64_t *c, uint64_t n)
{
#if defined(__x86_64__) && !WEFT__TSAN
	/* A release, as all stores are here, for the compiler as well. */
	__asm__ volatile("addq %1, %0" : "+m"(*(uint64_t *)c) : "re"(n) : "memory", "cc");
#else
	/* relaxed, release: as the caller says. */
	atomic_store_explicit(c, atomic_load_explicit(c, memory_order_relaxed) + n,
			      memory_order_release);
#endif
}

#endif
