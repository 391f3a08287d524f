/* SPDX-License-Identifier: MIT */
/*
 * Total store order for the models: each process that stores plainly has a store buffer, first in
 * first out, which the process `memory` empties at any time. A load of what the process itself may
 * have buffered is taken from a local copy instead, so only the owner of a cell stores to it
 * plainly. This is x86's model, and the effect of aarch64 that the fences are there for; other
 * reorderings of weak machines are modelled by hand, as broken twins, where an acquire or release
 * forbids them.
 *
 * A heavy fence ends once each buffer was empty at some moment since it began: exactly what it
 * guarantees. So it notes at its begin which are not, and `memory` strikes them off as it empties
 * them.
 *
 * Before the inclusion: STORERS, how many processes store; FENCERS, how many fence heavily; CELLS,
 * how many cells; DEPTH, a buffer's length; FENCERS_STORE, if the n-th who fences is also the n-th
 * who stores.
 */
byte cell[CELLS];
chan buffer[STORERS] = [DEPTH] of { byte, byte };
byte fence[FENCERS]; /* the buffers that a process's heavy fence waits for: a bit for each */

#define STORE(me, where, value) buffer[me] !where, value

/* What a locked instruction waits for. To be the guard of the atomic step that does it. */
#define DRAINED(me) empty(buffer[me])

/* weft__fence_light() with membarrier: it only stops the compiler. */
#define LIGHT_FENCE skip

#if STORERS > 1
#define FENCE_1 (len(buffer[1]) > 0->2 : 0)
#else
#define FENCE_1 0
#endif
#if STORERS > 2
#define FENCE_2 (len(buffer[2]) > 0->4 : 0)
#else
#define FENCE_2 0
#endif
#if STORERS > 3
#define FENCE_3 (len(buffer[3]) > 0->8 : 0)
#else
#define FENCE_3 0
#endif

#ifdef FENCERS_STORE
#define ENTERS_KERNEL(fencer) DRAINED(fencer)
#else
#define ENTERS_KERNEL(fencer) true
#endif

/* weft__fence_heavy(): membarrier. A full barrier of the caller's own comes before it reaches the
 * others. */
inline heavy_fence(fencer)
{
	atomic{ENTERS_KERNEL(fencer)->fence[fencer] =
		       (len(buffer[0]) > 0->1 : 0) + FENCE_1 + FENCE_2 + FENCE_3} fence[fencer] == 0
}

inline drain(which)
{
	buffer[which] ? where, value;
	cell[where] = value;
	where = 0;
	value = 0;
	if
		::len(buffer[which]) == 0->do ::where < FENCERS->fence[where] =
			fence[where] & ~(1 << which);
	where++ ::else->where = 0;
	break od ::len(buffer[which]) > 0 fi
}

active proctype memory()
{
	byte where, value;
end:
	do
		::d_step
		{
			nempty(buffer[0])->drain(0)
		}
#if STORERS > 1
	::d_step
	{
		nempty(buffer[1])->drain(1)
	}
#endif
#if STORERS > 2
	::d_step
	{
		nempty(buffer[2])->drain(2)
	}
#endif
#if STORERS > 3
	::d_step{nempty(buffer[3])->drain(3)}
#endif
	od
}
