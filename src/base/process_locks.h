/* SPDX-License-Identifier: MIT */
/*
 * The locks that belong to the process rather than to a runtime or an object, their order, and
 * fork().
 *
 * The problem. The child of a fork() has only the thread that forked. If another thread held a lock
 * at that moment, the child's copy stays locked for ever. Coroutines need no runtime, so a child
 * may use them whatever its parent's other threads were doing.
 *
 * The design. Memory allocators do the same. pthread_atfork() handlers take every lock of the
 * process before the fork(), and release them on both sides after it. So the child finds each lock
 * free, and the data under it consistent. A lock may protect a list of objects with locks of their
 * own. The file that keeps the list says how to take those (weft__process_lock_covers()).
 *
 * The order of these locks is in lock_ranks.h. The handlers take them from top to bottom: each lock
 * below, and the locks of each object on its list. Then come two that are not here:
 *
 *   the neutral fiber     only in ThreadSanitizer's user build (sanitizer.c)
 *   malloc's locks        their handlers run after ours. glibc's own run last of all. Other
 *                         allocators registered theirs before us.
 *
 * A runtime's own locks are never taken at a fork(), because the child is an orphan (orphan.h).
 *
 * The handlers are registered when the library is loaded, before any thread can hold one of the
 * locks.
 *
 * Rejected: registering them at the first use. A fork() that has begun by then does not run the new
 * handlers. pthread_atfork() also takes a lock of glibc's that older versions hold while handlers
 * run.
 *
 * A lock with static storage anywhere else would be missed here; tests/layers.py refuses it.
 *
 * The program's own objects, such as a mutex or a channel, are not covered. If another thread was
 * inside a call on such an object at the fork(), the child cannot use the object. The same is true
 * of a pthread mutex.
 */
#ifndef WEFT_SRC_BASE_PROCESS_LOCKS_H
#define WEFT_SRC_BASE_PROCESS_LOCKS_H

#include "lock.h"

#include <stdbool.h>

/* In the order of lock_ranks.h, which says what each protects. */
enum weft__process_lock {
	WEFT__LOCK_PROCESS,
	WEFT__LOCK_LOCAL_KEYS,
	WEFT__LOCK_POLLERS,
	WEFT__LOCK_TRIM,
	WEFT__LOCK_DEPOTS,
	WEFT__LOCK_STACK_POOLS,
	WEFT__PROCESS_LOCKS
};

struct weft__padded_lock {
	_Alignas(64) struct weft__lock lock;
	/* Under `lock`. NULL, or the functions of weft__process_lock_covers(). */
	void (*lock_each)(void);
	void (*unlock_each)(bool in_child);
};

extern struct weft__padded_lock weft__process_locks[WEFT__PROCESS_LOCKS]
	__attribute__((visibility("hidden")));

static inline void weft__lock_process(enum weft__process_lock which)
{
	(weft__lock)(&weft__process_locks[which].lock);
}

static inline void weft__unlock_process(enum weft__process_lock which)
{
	(weft__unlock)(&weft__process_locks[which].lock);
}

/* For the check of the order (lockcheck.h). */
#define WEFT__PROCESS_RANK(which) weft__process_locks[which].lock.rank
#define weft__lock_process(which)                                           \
	WEFT__TAKES(&weft__process_locks[which], WEFT__PROCESS_RANK(which), \
		    (weft__lock_process)(which))
#define weft__unlock_process(which)                                         \
	WEFT__GIVES(&weft__process_locks[which], WEFT__PROCESS_RANK(which), \
		    (weft__unlock_process)(which))

/*
 * Says that the lock protects a list of objects that have locks of their own. At a fork() the
 * handlers call lock_each() after they have taken the lock, and unlock_each() before they release
 * it. The caller holds the lock and is about to add an object, so no fork comes between.
 */
static inline void weft__process_lock_covers(enum weft__process_lock which, void (*lock_each)(void),
					     void (*unlock_each)(bool in_child))
{
	weft__process_locks[which].lock_each = lock_each;
	weft__process_locks[which].unlock_each = unlock_each;
}

/*
 * Registers the handlers unless they are registered already. Returns 0 or -ENOMEM. The library's
 * constructor calls it. A runtime's start calls it again, because the constructor cannot report a
 * failure.
 */
int weft__process_locks_register(void);

/*
 * The function that the child of a fork() calls once its locks are free, while it has one thread.
 * Set under WEFT__LOCK_PROCESS.
 */
extern void (*weft__process_forked)(void) __attribute__((visibility("hidden")));

#endif
