/* SPDX-License-Identifier: MIT */
/*
 * The lock of a channel: for critical sections of some ten nanoseconds that follow each other
 * closely. Unlocking is a plain store, half the price of a lock that must find out whether somebody
 * sleeps. So nobody sleeps on it (sched/os/pause.h).
 *
 * Not fair. Never held across a switch.
 */
#ifndef WEFT_SYNC_CHAN_LOCK_H
#define WEFT_SYNC_CHAN_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct chan_lock {
	_Atomic uint32_t held;
};

void weft__chan_lock_slow(struct chan_lock *lock);

static inline bool chan_trylock(struct chan_lock *lock)
{
	uint32_t expected = 0;

	/* acquire: what the last holder wrote; pairs with the release in chan_unlock(). */
	return atomic_compare_exchange_strong_explicit(&lock->held, &expected, 1,
						       memory_order_acquire, memory_order_relaxed);
}

static inline void chan_lock(struct chan_lock *lock)
{
	if (__builtin_expect(!chan_trylock(lock), 0))
		weft__chan_lock_slow(lock);
}

static inline void chan_unlock(struct chan_lock *lock)
{
	/* release: publishes the critical section. */
	atomic_store_explicit(&lock->held, 0, memory_order_release);
}

#endif
