/* SPDX-License-Identifier: MIT */
/*
 * A small lock for cold paths: Drepper's three-state futex mutex ("Futexes Are Tricky", mutex 2)
 * with a short spin. In addition its word says where the holder is (holder.h), so that a signal
 * handler that waits for the code which it interrupted can say so.
 *
 * Rejected: pthread_mutex. ThreadSanitizer intercepts it, also when called from code that is not
 * instrumented, and the edges would order coroutines that have nothing to do with each other,
 * hiding their races.
 *
 * It blocks the thread, not the coroutine, and must never be held across a switch: the unlock would
 * be fine on another thread, but whoever runs next on this one may want the lock. Not recursive,
 * not fair. A holder that is preempted delays the others.
 */
#ifndef WEFT_SRC_LOCK_H
#define WEFT_SRC_LOCK_H

#include "holder.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* 0: free. Else the holder's mark, and: */
#define WEFT__LOCK_HELD     1u
#define WEFT__LOCK_SLEEPERS 2u /* somebody may sleep */

struct weft__lock {
	_Atomic uint32_t word;
};

#define WEFT__LOCK_INIT \
	{               \
		0       \
	}

void weft__lock_slow(struct weft__lock *lock);
void weft__lock_wake(struct weft__lock *lock);

/* Whether the lock was free and is now held. */
static inline bool weft__trylock(struct weft__lock *lock)
{
	uint32_t expected = 0;

	/* acquire: sees what the last holder wrote; pairs with the release in weft__unlock().
	 * Relaxed on failure: nothing protected is read. */
	return atomic_compare_exchange_strong_explicit(&lock->word, &expected,
						       weft__holder_mark() | WEFT__LOCK_HELD,
						       memory_order_acquire, memory_order_relaxed);
}

static inline void weft__lock(struct weft__lock *lock)
{
	if (__builtin_expect(!weft__trylock(lock), 0))
		weft__lock_slow(lock);
}

static inline void weft__unlock(struct weft__lock *lock)
{
	/* release: publishes the critical section; pairs with the acquires in weft__trylock() and
	 * weft__lock_slow(). */
	if (__builtin_expect(atomic_exchange_explicit(&lock->word, 0, memory_order_release) &
				     WEFT__LOCK_SLEEPERS,
			     0))
		weft__lock_wake(lock);
}

#endif
