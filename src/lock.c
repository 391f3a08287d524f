/* SPDX-License-Identifier: MIT */
/* The slow paths of lock.h. */
#include "lock.h"

#include "orphan.h"
#include "tls.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* About a microsecond: a critical section of ours is shorter than a futex round trip. */
#define SPINS 100

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Not inlined, nor is the next: a caller may switch, and errno's address must not become part of
 * it. */
WEFT__REREAD void weft__lock_slow(struct weft__lock *lock)
{
	static const struct timespec look_again = {.tv_sec = 1};
	int saved = errno;

	for (int i = 0; i < SPINS; i++) {
		/* relaxed: only a hint that trying is worth a write to the line */
		if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 &&
		    weft__trylock(lock))
			return;
		pause_cpu();
	}
	/*
	 * We may sleep from now on, so whoever holds the lock must see SLEEPERS when it unlocks.
	 * Taking the lock with that bit costs at most one wake too many. No wake is lost: we sleep
	 * only while the word is the one with the bit, the kernel checks that under its own lock,
	 * and the unlock that takes the bit away wakes one sleeper, which sets it again for the
	 * rest.
	 */
	uint32_t mine = weft__holder_mark() | WEFT__LOCK_HELD | WEFT__LOCK_SLEEPERS;
	uint32_t word = atomic_load_explicit(&lock->word, memory_order_relaxed);
	for (;;) {
		if (word == 0) {
			/* acquire: as in weft__trylock(). */
			if (atomic_compare_exchange_weak_explicit(&lock->word, &word, mine,
								  memory_order_acquire,
								  memory_order_relaxed))
				break;
			continue;
		}
		/* relaxed: it only asks for a wake. */
		if (!(word & WEFT__LOCK_SLEEPERS) &&
		    !atomic_compare_exchange_weak_explicit(
			    &lock->word, &word, word | WEFT__LOCK_SLEEPERS, memory_order_relaxed,
			    memory_order_relaxed))
			continue;
		word |= WEFT__LOCK_SLEEPERS;
		weft__orphan_check();
		if (syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, word, &look_again, NULL,
			    0) != 0 &&
		    errno == ETIMEDOUT)
			weft__holder_check(word);
		word = atomic_load_explicit(&lock->word, memory_order_relaxed);
	}
	errno = saved;
}

WEFT__REREAD void weft__lock_wake(struct weft__lock *lock)
{
	int saved = errno;

	/* The lock may be gone by now if the next holder destroyed it; the kernel then finds no
	 * sleeper. */
	syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	errno = saved;
}
