/* SPDX-License-Identifier: MIT */
/*
 * Orphans: processes that were forked from one in which a runtime was alive. The child has the
 * forking thread and none of the others, so its copy of that runtime is dead, and whatever lock
 * another thread held just then stays held for ever. An orphan may call _exit(), exit() or exec*();
 * a Weft call in it returns, or comes here to abort rather than wait for a thread that is not
 * there.
 *
 * sched/core/process.c says who is one. The flag is here for the sake of the waits at the bottom.
 */
#ifndef WEFT_SRC_ORPHAN_H
#define WEFT_SRC_ORPHAN_H

#include <stdatomic.h>
#include <stdbool.h>

/* relaxed everywhere: written only while the process has one thread, in the child of a fork. */
extern _Atomic bool weft__orphaned __attribute__((visibility("hidden")));

static inline bool weft__is_orphan(void)
{
	return atomic_load_explicit(&weft__orphaned, memory_order_relaxed);
}

/* Prints the line about orphans and aborts. */
_Noreturn void weft__orphan_refuse(void) __attribute__((cold));

/* Before and in a wait for another thread, if that may be without end. */
static inline void weft__orphan_check(void)
{
	if (__builtin_expect(weft__is_orphan(), 0))
		weft__orphan_refuse();
}

#endif
