/* SPDX-License-Identifier: MIT */
/* The slow paths of lock.h. */
#include "lock.h"

#include "orphan.h"
#include "src/tls.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* About a microsecond. Our critical sections are shorter than a futex round trip. */
#define SPINS 100

static inline void pause_cpu(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* Neither this function nor the next is inlined. A caller may switch, and errno's address must not
 * become part of that caller. */
WEFT__REREAD void weft__lock_slow(struct weft__lock *lock)
{
	static const struct timespec look_again = {.tv_sec = 1};
	int saved = errno;

	for (int i = 0; i < SPINS; i++) {
		/* relaxed: only a hint that an attempt is worth a write to the line */
		if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0 &&
		    weft__trylock(lock))
			return;
		pause_cpu();
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
		/* relaxed: it only asks for a wake-up */
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

	/* The lock may be gone by now, if the next holder destroyed it. The kernel then finds no
	 * sleeper. */
	syscall(SYS_futex, &lock->word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	errno = saved;
}
