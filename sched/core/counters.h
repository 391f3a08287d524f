/* SPDX-License-Identifier: MIT */
/* The counters of a worker. Only that worker writes them. Any thread may read them. */
#ifndef WEFT_CORE_COUNTERS_H
#define WEFT_CORE_COUNTERS_H

#include "src/base/atomic.h"
#include "src/base/sanitizer.h"

#include <stdint.h>

struct counters {
	_Atomic uint64_t spawned, completed, forked, inlined, steals, stolen, hops, switches, parks,
		wakes, yields, injected, sleeps, nudges, timers, stack_waits, blocking_waits;
};

/* Adds n to a counter of the calling worker. relaxed: it is a statistic. There is one writer, so no
 * read-modify-write is needed. */
static inline void counter_add(_Atomic uint64_t *c, uint64_t n)
{
#if defined(__x86_64__) && !WEFT__TSAN
	/* One instruction does the load, the addition and the store. Compilers make three
	 * instructions of them, because the object is atomic. */
	__asm__("addq %1, %0" : "+m"(*(uint64_t *)c) : "re"(n) : "cc");
#else
	store_relaxed(c, load_relaxed(c) + n);
#endif
}

/* As counter_add(), for a counter whose reader must see what the worker did before. */
static inline void counter_add_release(_Atomic uint64_t *c, uint64_t n)
{
#if defined(__x86_64__) && !WEFT__TSAN
	/* Every store is a release on this processor. The clobber makes it one for the compiler
	 * too. */
	__asm__ volatile("addq %1, %0" : "+m"(*(uint64_t *)c) : "re"(n) : "memory", "cc");
#else
	/* relaxed: we are the only writer. release: publishes what the caller did before. */
	store_release(c, load_relaxed(c) + n);
#endif
}

#endif
