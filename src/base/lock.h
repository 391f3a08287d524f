/* SPDX-License-Identifier: MIT */
/*
 * A small lock for cold paths: Drepper's three-state futex mutex ("Futexes Are Tricky", mutex 2),
 * with a short spin. Its word also says where the holder is (holder.h). So a signal handler that
 * waits for the code that it interrupted can report that.
 *
 * The lock blocks the thread, not the coroutine. It must never be held across a switch. The unlock
 * would work on another thread, but the next coroutine on this thread may want the lock. The lock
 * is not recursive and not fair. A preempted holder delays the others.
 *
 * Rejected: pthread_mutex. ThreadSanitizer intercepts it, even when code that is not instrumented
 * calls it. The resulting edges would order coroutines that have nothing to do with each other, and
 * hide their races.
 */
#ifndef WEFT_SRC_BASE_LOCK_H
#define WEFT_SRC_BASE_LOCK_H

#include "atomic.h"
#include "compiler.h"
#include "holder.h"
#include "lockcheck.h"

#include <stdbool.h>
#include <stdint.h>

/* 0 means free. Otherwise the word holds the holder's mark and these bits. */
#define WEFT__LOCK_HELD     1u
#define WEFT__LOCK_SLEEPERS 2u /* a thread may sleep */

struct weft__lock {
	_Atomic uint32_t word;
	WEFT__RANK_MEMBER
};

/* A free lock of that rank (lock_ranks.h). */
#define WEFT__LOCK_INIT(name)           \
	{                               \
		0 WEFT__RANK_INIT(name) \
	}

void weft__lock_slow(struct weft__lock *lock);
void weft__lock_wake(struct weft__lock *lock);

/* Takes the lock if it is free. Returns whether it did. */
static inline bool weft__trylock(struct weft__lock *lock)
{
	uint32_t expected = 0;

	/* acquire: sees what the last holder wrote; pairs with the release in weft__unlock().
	 * Relaxed on failure: nothing protected is read. */
	return cas_acquire(&lock->word, &expected, weft__holder_mark() | WEFT__LOCK_HELD);
}

static inline void weft__lock(struct weft__lock *lock)
{
	if (unlikely(!weft__trylock(lock)))
		weft__lock_slow(lock);
}

static inline void weft__unlock(struct weft__lock *lock)
{
	/* release: publishes the critical section; pairs with the acquires in weft__trylock() and
	 * weft__lock_slow(). */
	if (unlikely(exchange_release(&lock->word, 0) & WEFT__LOCK_SLEEPERS))
		weft__lock_wake(lock);
}

/* For the check of the order (lockcheck.h). */
#define weft__trylock(lock) WEFT__TRIES(lock, (lock)->rank, (weft__trylock)(lock))
#define weft__lock(lock)    WEFT__TAKES(lock, (lock)->rank, (weft__lock)(lock))
#define weft__unlock(lock)  WEFT__GIVES(lock, (lock)->rank, (weft__unlock)(lock))

#endif
