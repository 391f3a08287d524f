/* SPDX-License-Identifier: MIT */
/*
 * The lock of a channel, or of a queue of waits: for critical sections of some ten nanoseconds that
 * follow each other closely. Unlocking is a plain store, half the price of a lock that must find
 * out whether somebody sleeps. So nobody sleeps on it (sched/os/pause.h).
 *
 * Not fair. Never held across a switch. The word says where the holder is, as that of src/lock.h.
 */
#ifndef WEFT_SYNC_SYNC_LOCK_H
#define WEFT_SYNC_SYNC_LOCK_H

#include "src/holder.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* 0: free. Else the holder's mark and SYNC_LOCK_HELD, or for good: */
#define SYNC_LOCK_HELD 1u
#define SYNC_LOCK_DEAD 2u /* the object was destroyed */

struct sync_lock {
	_Atomic uint32_t held;
};

void weft__sync_lock_slow(struct sync_lock *lock);

/* Whether the holder is to be checked now, after so many looks: every fifth of a second, mostly
 * naps. */
static inline bool sync_waits_long(unsigned looks)
{
	return looks % 2048 == 2047;
}

static inline bool sync_trylock(struct sync_lock *lock)
{
	uint32_t expected = 0;

	/* acquire: what the last holder wrote; pairs with the release in sync_unlock(). */
	return atomic_compare_exchange_strong_explicit(&lock->held, &expected,
						       weft__holder_mark() | SYNC_LOCK_HELD,
						       memory_order_acquire, memory_order_relaxed);
}

static inline void sync_lock(struct sync_lock *lock)
{
	if (__builtin_expect(!sync_trylock(lock), 0))
		weft__sync_lock_slow(lock);
}

static inline void sync_unlock(struct sync_lock *lock)
{
	/* release: publishes the critical section. */
	atomic_store_explicit(&lock->held, 0, memory_order_release);
}

/* Instead of an unlock, of an object whose memory is about to be freed: who uses it all the same is
 * told, as long as the word is not overwritten. */
static inline void sync_lock_bury(struct sync_lock *lock)
{
	/* relaxed: it publishes nothing. */
	atomic_store_explicit(&lock->held, SYNC_LOCK_DEAD, memory_order_relaxed);
}

#endif
