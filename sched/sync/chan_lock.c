/* SPDX-License-Identifier: MIT */
/* The slow path of chan_lock.h. */
#include "chan_lock.h"

#include "sched/os/clock.h"
#include "sched/os/cpu_relax.h"
#include "sched/os/futex.h"
#include "src/orphan.h"

#include <sched.h>

#define PAUSES_FIRST 4
#define PAUSES_MAX   64 /* about a microsecond: dozens of steps of the holder's worker (measured) */
#define LOOKS        20
#define YIELDS       20
#define NAP_NS       100000

void weft__chan_lock_slow(struct chan_lock *lock)
{
	_Atomic uint32_t nobody_wakes = 0;
	unsigned pauses = PAUSES_FIRST;

	for (unsigned looks = 0;; looks++) {
		if (looks < LOOKS) {
			for (unsigned i = 0; i < pauses; i++)
				weft__cpu_relax();
			pauses = pauses < PAUSES_MAX ? 2 * pauses : pauses;
		} else if (looks < LOOKS + YIELDS) {
			sched_yield();
		} else {
			weft__orphan_check();
			weft__futex_wait(&nobody_wakes, 0, weft__clock_now() + NAP_NS);
		}
		/* relaxed: only a hint that trying is worth a write to the line. */
		if (!atomic_load_explicit(&lock->held, memory_order_relaxed) && chan_trylock(lock))
			return;
	}
}
