/* SPDX-License-Identifier: MIT */
/* The slow paths of lock.h. */
#include "lock.h"

#include "atomic.h"
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
		if (load_relaxed(&lock->word) == 0 && weft__trylock(lock))
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
		if (syscall(SYS_futex, &lock->word, FUTEX_WAIT_PRIVATE, word, &look_again, NULL,
			    0) != 0 &&
		    errno == ETIMEDOUT)
			weft__holder_check(word);
		word = load_relaxed(&lock->word);
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
