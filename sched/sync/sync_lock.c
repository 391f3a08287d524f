/* SPDX-License-Identifier: MIT */
/* The slow path of sync_lock.h. */
#include "sync_lock.h"

#include "sched/os/pause.h"

void weft__sync_lock_slow(struct sync_lock *lock)
{
	for (unsigned looks = 0;; looks++) {
		weft__pause(looks);
		/* relaxed: only a hint that trying is worth a write to the line. */
		if (!atomic_load_explicit(&lock->held, memory_order_relaxed) && sync_trylock(lock))
			return;
	}
}
