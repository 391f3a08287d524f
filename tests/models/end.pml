/* SPDX-License-Identifier: MIT */
/*
 * The end of a closing runtime. It stops when no task is live any longer: never before that, and
 * never later than that.
 *
 * Mirrors:
 *  - sched/core/stop.c: weft__all_ended(), weft__stop_if_over();
 *  - sched/core/workers.c: record_locked();
 *  - sched/core/idle.c: weft__sign_off(), weft__sleep();
 *  - sched/core/execute.c: end_task().
 *
 * Invariants: when the runtime is stopped, no task is live. The runtime is stopped in the end. If
 * it is not, this is a deadlock.
 *
 * Bounds: a chain of four tasks. Each task spawns the next one. Workers 0, 1, 2 and 0 run them in
 * this order, and the second task adds worker 2. Each of these workers looks whether all is over
 * when it has nothing to run. One more worker, which runs nothing, looks once at any time.
 * `closing` is set from the beginning.
 *
 * A worker's counts and the publication of a task and of a record go through the worker's store
 * buffer, in program order. In the C code they are stores with release, and the counts of ends are
 * read with acquire. Twins reorder them.
 *
 * Broken:
 *  - STARTS_FIRST: starts are counted before ends.
 *  - STALE_COUNT: the number of records is not read again for the starts.
 *  - COUNT_LATE: a spawn is counted after the task is visible.
 *  - NO_HEAVY: a worker looks without its heavy fence.
 */
#define STORERS 3
#define FENCERS 3
#define FENCERS_STORE
#define DEPTH   2

#define SPAWNED(w) (w)
#define ENDED(w)   (3 + (w))
#define TASK(i)    (6 + (i)) /* task i is in a queue; i is 1 to 3 */
#define RECORDS    10        /* besides the first two */
#define CELLS      11

#include "tso.h"

bool stopped;
byte live = 1; /* ghost */

inline spawn(me, i)
{
#ifdef BROKEN_COUNT_LATE
	atomic { nfull(buffer[me]) -> live++; STORE(me, TASK(i), 1) }
	STORE(me, SPAWNED(me), 1)
#else
	atomic { nfull(buffer[me]) -> live++; STORE(me, SPAWNED(me), 1) }
	STORE(me, TASK(i), 1)
#endif
}

inline end_task(me, ends)
{
	atomic { nfull(buffer[me]) -> live--; STORE(me, ENDED(me), ends) }
}

inline reset()
{
	records = 0;
	ended = 0;
	spawned = 0
}

inline count_starts()
{
	spawned = 1 + cell[SPAWNED(0)]; /* the first task is from outside */
	spawned = spawned + cell[SPAWNED(1)];
	if
	:: records -> spawned = spawned + cell[SPAWNED(2)]
	:: else
	fi
}

inline stop_if_over()
{
	records = cell[RECORDS];
#ifdef BROKEN_STARTS_FIRST
	count_starts();
#endif
	ended = cell[ENDED(0)];
	ended = ended + cell[ENDED(1)];
	if
	:: records -> ended = ended + cell[ENDED(2)]
	:: else
	fi;
#ifndef BROKEN_STALE_COUNT
	records = cell[RECORDS];
#endif
#ifndef BROKEN_STARTS_FIRST
	count_starts();
#endif
	if
	:: atomic { ended == spawned -> assert(live == 0); stopped = true; reset() }
	:: atomic { ended != spawned -> reset() }
	fi
}

inline go_idle(me)
{
#ifndef BROKEN_NO_HEAVY
	heavy_fence(me);
#endif
	stop_if_over()
}

proctype worker(byte me)
{
	byte records, ended, spawned;

	if
	:: me == 0 ->
		spawn(0, 1);
		end_task(0, 1);
		cell[TASK(3)];
		end_task(0, 2)
	:: me == 1 ->
		cell[TASK(1)];
		STORE(1, RECORDS, 1);
		spawn(1, 2);
		end_task(1, 1)
	:: me == 2 ->
		cell[TASK(2)];
		spawn(2, 3);
		end_task(2, 1)
	fi;
	go_idle(me);
	stopped
}

/* A worker whose counts stay 0. */
active proctype idler()
{
	byte records, ended, spawned;

	stop_if_over()
}

init {
	atomic { run worker(0); run worker(1); run worker(2) }
}
