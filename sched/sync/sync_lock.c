/* SPDX-License-Identifier: MIT */
/*
 * The slow path of sync_lock.h.
 *
 * The problem: two workers that do little but use one channel are slower together than one alone.
 * The cache lines of the lock and of the buffer travel between them for each message.
 *
 * The design: a caller that has looked twice and found the lock held both times is in the way of
 * others that use it all the time. It waits for more than a microsecond before it looks again.
 * Meanwhile the others take dozens of steps with the lines in their own cache. The second look
 * comes soon, because a caller that meets a critical section of ten nanoseconds by chance should
 * not lose a microsecond. docs/performance.md has the figures.
 */
#include "sync_lock.h"

#include "chan.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/fatal.h"
#include "src/base/pause.h"

void weft__sync_lock_slow(struct sync_lock *lock)
{
	for (unsigned looks = 0;; looks += looks == 0 ? WEFT__PAUSES_GROW : 1) {
		weft__pause(looks);
		/* relaxed: only a hint that trying is worth a write to the line. */
		uint32_t held = load_relaxed(&lock->held);
		if (!held && sync_trylock(lock))
			return;
		if (unlikely(held == SYNC_LOCK_DEAD))
			weft__fatal("channel %p is used after it was destroyed",
				    (void *)container_of(lock, struct weft_chan, lock));
		if (unlikely(sync_waits_long(looks)))
			weft__holder_check(held);
	}
}
