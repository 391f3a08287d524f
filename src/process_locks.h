/* SPDX-License-Identifier: MIT */
/*
 * The locks that belong to the process rather than to a runtime or to an object, their order, and
 * fork().
 *
 * The problem. A child of fork() has only the thread that forked. If another thread held a lock at
 * that moment, the child's copy stays locked for ever. Coroutines need no runtime, so a child may
 * use them whatever its parent's other threads were doing.
 *
 * The design is the one of memory allocators: pthread_atfork() handlers take every lock of the
 * process before the fork, and release them on both sides after it. So the child finds each lock
 * free, and what it protects consistent.
 *
 * Lock order. A thread that holds a lock of this table may take those below it, never one above or
 * beside it. The handlers take them from top to bottom.
 *
 *   a runtime's own locks           never taken at a fork: the child is an orphan (orphan.h)
 *   WEFT__LOCK_PROCESS              how many runtimes are alive (sched/core/process.c)
 *   WEFT__LOCK_LOCAL_KEYS           task-local keys (sched/sync/local.c)
 *   WEFT__LOCK_TRIM                 one thread at a time gives back all there is (stack_trim.c)
 *   WEFT__LOCK_DEPOTS               the list of all depots (depot.c)
 *     depot.lock                    of each depot on that list
 *     runtime.idle_lock             in weft_trim(); its holders take none of these
 *   WEFT__LOCK_STACK_POOLS          adding a pool of stacks (stack.c)
 *     pool.lock                     of each pool
 *   the neutral fiber               ThreadSanitizer's user build only (sanitizer.c)
 *   malloc's locks                  its handlers run after ours: glibc's own last of all, those of
 *                                   others because they were registered earlier
 *
 * The handlers are registered when the library is loaded, before any thread can hold one of the
 * locks. (Rejected: at the first use. A fork that has begun by then does not run the new handlers,
 * and pthread_atfork() takes a lock of glibc's that older versions hold while handlers run.)
 *
 * A lock with static storage anywhere else would be missed here; tests/layers.py refuses it.
 *
 * Objects of the program, such as a mutex or a channel, are as unusable in the child as a pthread
 * mutex is if another thread was inside a call on them at the fork.
 */
#ifndef WEFT_SRC_PROCESS_LOCKS_H
#define WEFT_SRC_PROCESS_LOCKS_H

#include "lock.h"

/* In the lock order. */
enum weft__process_lock {
	WEFT__LOCK_PROCESS,
	WEFT__LOCK_LOCAL_KEYS,
	WEFT__LOCK_TRIM,
	WEFT__LOCK_DEPOTS,
	WEFT__LOCK_STACK_POOLS,
	WEFT__PROCESS_LOCKS
};

struct weft__padded_lock {
	_Alignas(64) struct weft__lock lock;
};

extern struct weft__padded_lock weft__process_locks[WEFT__PROCESS_LOCKS]
	__attribute__((visibility("hidden")));

static inline void weft__lock_process(enum weft__process_lock which)
{
	weft__lock(&weft__process_locks[which].lock);
}

static inline void weft__unlock_process(enum weft__process_lock which)
{
	weft__unlock(&weft__process_locks[which].lock);
}

/*
 * Registers the handlers, unless that has been done. Returns 0 or -ENOMEM. The library's
 * constructor calls it; a runtime's start does so again, since the constructor cannot report a
 * failure.
 */
int weft__process_locks_watch(void);

/*
 * What the child of a fork calls once its locks are free, while it has one thread. Set under
 * WEFT__LOCK_PROCESS.
 */
extern void (*weft__process_forked)(void) __attribute__((visibility("hidden")));

#endif
