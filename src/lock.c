/* SPDX-License-Identifier: MIT */
/* The slow paths of lock.h. */
#include "lock.h"

#include "orphan.h"
#include "tls.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
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
	int saved = errno;

	for (int i = 0; i < SPINS; i++) {
		/* relaxed: only a hint that trying is worth a write to the line */
		if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 &&
		    weft__trylock(lock))
			return;
		pause_cpu();
	}
	/*
	 * We may sleep from now on, so whoever holds the lock must see 2 when it unlocks. Taking
	 * the lock with a 2 costs at most one wake too many. No wake is lost: we sleep only while
	 * the word is 2, the kernel checks that under its own lock, and the unlock that changes it
	 * from 2 wakes one sleeper, which sets 2 again for the rest.
	 *
	 * acquire: as in weft__trylock().
	 */
	while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0) {
		weft__orphan_check();
		syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, 2, NULL, NULL, 0);
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
