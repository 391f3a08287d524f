/* SPDX-License-Identifier: MIT */
/*
 * Total store order for the models.
 *
 * Each process that stores plainly has a store buffer, first in, first out. The process `memory`
 * empties the buffers at any time. If a process may have buffered a value itself, it loads from a
 * local copy instead. So only the owner of a cell stores to it plainly. This is the memory model of
 * x86, and the effect of aarch64 that the fences guard against. Broken twins model other
 * reorderings of weak machines by hand, where an acquire or release forbids them.
 *
 * A heavy fence ends once each buffer was empty at some moment since the fence began. That is
 * exactly what it guarantees. So the fence notes at its begin which buffers are not empty, and
 * `memory` strikes them off as it empties them.
 *
 * A model defines these before it includes this file:
 *  - STORERS: how many processes store.
 *  - FENCERS: how many processes have heavy fences.
 *  - CELLS: how many cells there are.
 *  - DEPTH: the length of a buffer.
 *  - FENCERS_STORE: defined if the n-th fencer is also the n-th storer.
 */
byte cell[CELLS];
chan buffer[STORERS] = [DEPTH] of { byte, byte };
byte fence[FENCERS]; /* the buffers that a process's heavy fence waits for: one bit for each */

#define STORE(me, where, value) buffer[me] !where, value

/* What a locked instruction waits for. It must be the guard of the atomic step of that
 * instruction. */
#define DRAINED(me) empty(buffer[me])

/* weft__fence_light() with membarrier: it only restrains the compiler. */
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

/* weft__fence_heavy(), which is membarrier. The caller's own full barrier comes before it reaches
 * the others. */
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
