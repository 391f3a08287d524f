/* SPDX-License-Identifier: MIT */
/*
 * The next slot. Its owner takes from it by a load and a store. A watcher takes what the owner
 * leaves.
 *
 * Mirrors:
 *  - sched/core/pick.h: from_slot();
 *  - sched/core/ready.c: weft__ready();
 *  - sched/core/watch.c: raid(), weft__watch().
 *
 * Invariants: each task that is put into the slot is taken once, or is still there in the end. The
 * owner takes it, or the owner displaces it by another task, or the watcher takes it.
 *
 * Bounds: TASKS tasks are put, and the owner takes as often as it likes in between. There are up to
 * RAIDS raids. The stores of the owner, also those to the slot, and those of the watcher go through
 * store buffers. The owner's own loads of the slot see what is in its buffer.
 *
 * Broken:
 *  - NO_HEAVY: the watcher's fence is light.
 *  - LOOK_FIRST: the owner looks for the watcher before it says that it takes.
 *  - IGNORE_TAKING: the watcher does not look whether the owner takes.
 *  - PLAIN: the owner takes by a load and a store even during a raid.
 *  - RAIDED_EARLY: the watcher says that it is done before it takes.
 *  - TAKING_EARLY: the owner says that it is done before it empties the slot.
 */
#ifndef TASKS
#define TASKS 3
#endif
#ifndef RAIDS
#define RAIDS 3
#endif

#define WATCHER 0
#define OWNER   1
#define FENCERS_STORE
#define STORERS 2
#define FENCERS 1
#define DEPTH   4
#define CELLS   3
#define SLOT    0 /* the number of a task; 0 if it is empty */
#define TAKING  1
#define RAIDED  2

#include "tso.h"

bool taken[TASKS + 1]; /* ghost */
byte over;             /* how many actors are done */

inline got(task)
{
	if
	:: task -> atomic { assert(!taken[task]); taken[task] = true }
	:: else
	fi
}

inline exchange_slot(who, value)
{
	atomic { DRAINED(who) -> seen = cell[SLOT]; cell[SLOT] = value }
}

inline load_slot()
{
	d_step {
		if
		:: buffer[OWNER]??[SLOT,_] -> seen = mine
		:: else -> seen = cell[SLOT]
		fi
	}
}

inline store_slot(value)
{
	atomic { STORE(OWNER, SLOT, value); mine = value }
}

inline put(task)
{
	load_slot();
	if
	:: seen == 0 -> store_slot(task)
	:: else -> exchange_slot(OWNER, task); got(seen)
	fi
}

inline take()
{
	load_slot();
	if
	:: seen ->
#ifdef BROKEN_LOOK_FIRST
		raided = cell[RAIDED];
		STORE(OWNER, TAKING, 1);
#else
		STORE(OWNER, TAKING, 1);
		LIGHT_FENCE;
		raided = cell[RAIDED];
#endif
		if
#ifdef BROKEN_PLAIN
		:: true ->
#else
		:: !raided ->
#endif
			load_slot();
#ifdef BROKEN_TAKING_EARLY
			STORE(OWNER, TAKING, 0);
#endif
			store_slot(0);
			got(seen)
#ifndef BROKEN_PLAIN
		:: else -> exchange_slot(OWNER, 0); got(seen)
#endif
		fi;
		STORE(OWNER, TAKING, 0)
	:: else
	fi
}

active proctype owner()
{
	byte puts, seen, mine;
	bool raided;

	do
	:: puts < TASKS -> puts++; put(puts)
	:: take()
	:: puts == TASKS -> break
	od;
	over++
}

active proctype watcher()
{
	byte raids, seen;
	bool taking;

	do
	:: raids < RAIDS ->
		raids++;
		STORE(WATCHER, RAIDED, 1);
#ifndef BROKEN_NO_HEAVY
		heavy_fence(0);
#endif
#ifndef BROKEN_IGNORE_TAKING
		taking = cell[TAKING];
#endif
#ifdef BROKEN_RAIDED_EARLY
		STORE(WATCHER, RAIDED, 0);
#endif
		if
		:: !taking -> exchange_slot(WATCHER, 0); got(seen)
		:: else
		fi;
		STORE(WATCHER, RAIDED, 0);
		taking = false
	:: true -> break
	od;
	over++
}

active proctype audit()
{
	byte task = 1;

	atomic {
		over == 2 && DRAINED(OWNER) ->
		do
		:: task <= TASKS -> assert(taken[task] != (cell[SLOT] == task)); task++
		:: else -> break
		od
	}
}
