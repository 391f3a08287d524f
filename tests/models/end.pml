/* SPDX-License-Identifier: MIT */
/*
 * A closing runtime stops when nothing is live in it any more: never before, and not never.
 *
 * Mirrors: sched/core/workers.c weft__all_ended(), record_locked(); sched/core/park.c
 * stop_if_over(), weft__sign_off(), weft__sleep(); sched/core/execute.c end_task().
 *
 * Invariants: when the runtime is stopped, no task is live; it is stopped (else a deadlock).
 *
 * Bounds: a chain of four tasks, each spawned by the one before and run by workers 0, 1, 2 and 0
 * again; worker 2 is added by the second task. Each worker looks whether all is over when it has
 * nothing to run, one more that runs nothing does at any time, once. `closing` is set from the
 * beginning.
 *
 * A worker's counts, the publication of a task and of a record go through the worker's store
 * buffer, in program order: in the C they are stores with release, of which the counts of ends are
 * read with acquire (twins reorder them).
 *
 * Broken: STARTS_FIRST: starts are counted before ends. STALE_COUNT: the number of records is not
 * read anew for the starts. COUNT_LATE: a spawn is counted after the task is visible. NO_HEAVY: a
 * worker looks without its heavy fence.
 */
#define STORERS 3
#define FENCERS 3
#define FENCERS_STORE
#define DEPTH   2

#define SPAWNED(w) (w)
#define ENDED(w)   (3 + (w))
#define TASK(i)    (6 + (i)) /* i is in a queue; 1 to 3 */
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
	spawned = 1 + cell[SPAWNED(0)]; /* the first one is from outside */
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
