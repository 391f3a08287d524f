/* SPDX-License-Identifier: MIT */
/* The slow path of chan_lock.h. */
#include "chan_lock.h"

#include "sched/os/pause.h"

void weft__chan_lock_slow(struct chan_lock *lock)
{
	for (unsigned looks = 0;; looks++) {
		weft__pause(looks);
		/* relaxed: only a hint that trying is worth a write to the line. */
		if (!atomic_load_explicit(&lock->held, memory_order_relaxed) && chan_trylock(lock))
			return;
	}
}
