/* SPDX-License-Identifier: MIT */
/*
 * Orphans: processes that were forked from a process in which a runtime was alive.
 *
 * An orphan has the forking thread and no other. So its copy of the runtime is dead, and any lock
 * that another thread held at the fork() stays held for ever. An orphan may call _exit(), exit() or
 * exec*(). A Weft call in an orphan either returns, or ends here: it aborts rather than wait for a
 * thread that does not exist.
 *
 * sched/core/process.c decides which process is an orphan. The flag is here for the wait functions
 * of the lower layers.
 */
#ifndef WEFT_SRC_BASE_ORPHAN_H
#define WEFT_SRC_BASE_ORPHAN_H

#include "atomic.h"
#include "compiler.h"

#include <stdbool.h>

/* Relaxed everywhere. It is written only in the child of a fork(), while that process has one
 * thread. */
extern _Atomic bool weft__orphaned __attribute__((visibility("hidden")));

static inline bool weft__is_orphan(void)
{
	return load_relaxed(&weft__orphaned);
}

/* Prints the line about orphans and aborts. */
_Noreturn void weft__orphan_refuse(void) __attribute__((cold));

/* Called before and during a wait for another thread that may never end. */
static inline void weft__orphan_check(void)
{
	if (unlikely(weft__is_orphan()))
		weft__orphan_refuse();
}

#endif
