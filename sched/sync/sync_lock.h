/* SPDX-License-Identifier: MIT */
/*
 * The lock of a channel, or of a queue of waiters. It suits critical sections of about ten
 * nanoseconds that follow each other closely.
 *
 * Unlocking is a plain store. That costs half of what a lock costs that must find out whether
 * somebody sleeps. So nobody sleeps on this lock until woken (src/base/pause.h).
 *
 * The lock is not fair. It is never held across a switch. Like the word of src/base/lock.h, its
 * word holds a mark that says where on its stack the holder is (src/base/holder.h).
 */
#ifndef WEFT_SYNC_SYNC_LOCK_H
#define WEFT_SYNC_SYNC_LOCK_H

#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/holder.h"
#include "src/base/lockcheck.h"

#include <stdbool.h>
#include <stdint.h>

/* The word is 0 when the lock is free. While it is held, the word is the holder's mark with
 * SYNC_LOCK_HELD. The last value is for good: */
#define SYNC_LOCK_HELD 1u
#define SYNC_LOCK_DEAD 2u /* the object was destroyed */

struct sync_lock {
	_Atomic uint32_t held;
};

void weft__sync_lock_slow(struct sync_lock *lock);

/* Returns whether to check the holder now, after this many looks. That is about every fifth of a
 * second, most of which are naps. */
static inline bool sync_waits_long(unsigned looks)
{
	return looks % 2048 == 2047;
}

static inline bool sync_trylock(struct sync_lock *lock)
{
	uint32_t expected = 0;

	/* acquire: what the last holder wrote; pairs with the release in sync_unlock(). */
	return cas_acquire(&lock->held, &expected, weft__holder_mark() | SYNC_LOCK_HELD);
}

static inline void sync_lock(struct sync_lock *lock)
{
	if (unlikely(!sync_trylock(lock)))
		weft__sync_lock_slow(lock);
}

static inline void sync_unlock(struct sync_lock *lock)
{
	/* release: publishes the critical section. */
	store_release(&lock->held, 0);
}

/* Marks the lock of an object that is about to be freed, in place of an unlock. A later user of the
 * object is reported, as long as nothing has overwritten the word. */
static inline void sync_lock_bury(struct sync_lock *lock)
{
	/* relaxed: it publishes nothing. */
	store_relaxed(&lock->held, SYNC_LOCK_DEAD);
}

/* For the check of the order (lockcheck.h): the lock is a queue's. A channel and a group have
 * functions of their own. */
#define sync_lock(lock)   WEFT__TAKES(lock, WEFT__RANK_QUEUE, (sync_lock)(lock))
#define sync_unlock(lock) WEFT__GIVES(lock, WEFT__RANK_QUEUE, (sync_unlock)(lock))

#endif
