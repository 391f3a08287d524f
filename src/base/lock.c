/* SPDX-License-Identifier: MIT */
/* The slow paths of lock.h. */
#include "lock.h"

#include "atomic.h"
#include "clock.h"
#include "compiler.h"
#include "cpu_relax.h"
#include "futex.h"
#include "orphan.h"

#include <errno.h>

/* The macros are for callers. The wait for a lock is no sleep for lockcheck.h. */
#undef weft__trylock
#undef weft__futex_wait
#undef weft__futex_wake

/* About a microsecond. Our critical sections are shorter than a futex round trip. */
#define SPINS 100

/* After this time a sleeper asks whether it waits for itself. */
#define LOOK_AGAIN_NS 1000000000

WEFT__NEVER_INLINE void weft__lock_slow(struct weft__lock *lock)
{
	for (int i = 0; i < SPINS; i++) {
		/* relaxed: only a hint that an attempt is worth a write to the line */
		if (load_relaxed(&lock->word) == 0 && weft__trylock(lock))
			return;
		weft__cpu_relax();
	}
	/*
	 * From here on we may sleep, so the holder must see SLEEPERS when it unlocks. Taking the
	 * lock with that bit costs at most one unnecessary wake-up.
	 *
	 * No wake-up is lost. We sleep only while the word has the bit, and the kernel checks that
	 * under its own lock. The unlock that clears the bit wakes one sleeper. That sleeper sets
	 * the bit again for the others.
	 */
	uint32_t mine = weft__holder_mark() | WEFT__LOCK_HELD | WEFT__LOCK_SLEEPERS;
	uint32_t word = load_relaxed(&lock->word);
	for (;;) {
		if (word == 0) {
			/* acquire: as in weft__trylock(). */
			if (cas_weak_acquire(&lock->word, &word, mine))
				break;
			continue;
		}
		/* relaxed: it only asks for a wake-up */
		if (!(word & WEFT__LOCK_SLEEPERS) &&
		    !cas_weak_relaxed(&lock->word, &word, word | WEFT__LOCK_SLEEPERS))
			continue;
		word |= WEFT__LOCK_SLEEPERS;
		weft__orphan_check();
		if (weft__futex_wait(&lock->word, word, weft__clock_real() + LOOK_AGAIN_NS) ==
		    -ETIMEDOUT)
			weft__holder_check(word);
		word = load_relaxed(&lock->word);
	}
}

WEFT__NEVER_INLINE void weft__lock_wake(struct weft__lock *lock)
{
	/* The lock may be gone by now, if the next holder destroyed it. The kernel then finds no
	 * sleeper. */
	weft__futex_wake(&lock->word, 1);
}
