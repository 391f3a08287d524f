/* SPDX-License-Identifier: MIT */
/*
 * The ready ring: the owner's push and pop against two thieves that take half.
 *
 * Mirrors:
 *  - sched/queue/ring.h: weft__ring_push(), weft__ring_put(), weft__ring_pop(), weft__ring_empty();
 *  - sched/queue/ring.c: weft__ring_push_full(), grow(), weft__ring_pop_shared(), share(),
 *    weft__ring_steal().
 *
 * Invariants:
 *  - An element that is taken from index i was pushed there. So each element is taken once, in
 *    order.
 *  - Nothing is lost.
 *  - push says "full" only if there are as many elements as the capacity when it looks.
 *  - pop says "none" only if there is none.
 *  - Nobody reads a freed buffer.
 *
 * Bounds: a capacity of 2 and, with GROWS, then of 4. PUSHES pushes and pops in any order, then
 * pops until the ring is empty. Two thieves make STEALS_1 and STEALS_2 attempts, and take at most 1
 * and 2 elements. The ring may become the owner's own again after any pop.
 *
 * The owner's stores of tail, mine, the slots and the buffer go through its store buffer. head and
 * its state change by compare-and-swap only. Thieves load in program order, as their acquires
 * demand. Twins reorder these loads. A weak compare-and-swap that fails spuriously only repeats, so
 * this is left out. The hints, which go with the slots, are left out, too.
 *
 * Broken:
 *  - NO_HEAVY: the thief's fence is light.
 *  - NO_LIGHT: the owner's compiler has read the state before it says that it is taking.
 *  - LOOK_FIRST: the thief reads mine before it asks.
 *  - IGNORE_TAKING: the thief takes the index to be final although the owner is taking.
 *  - OWN_STORES: the owner makes the ring its own by a store.
 *  - PUBLISH_EARLY: tail is stored before the slot. Its release is missing.
 *  - READ_LATE: a thief reads the slots after its compare-and-swap.
 *  - OVERWRITE: push takes the ring to be empty when its bound is reached, without a look at head.
 *  - POP_STORES: the owner moves head by a load and a store.
 *  - STEAL_STORES: thieves move head by a load and a store.
 *  - BUFFER_LATE: the new buffer is published after the element in it.
 *  - NO_COPY: growing copies nothing.
 *  - FREE_OLD: the outgrown buffer is freed at once.
 */
#define STORERS 1
#define FENCERS 2
#define DEPTH   3

#ifndef PUSHES
#define PUSHES 3
#endif
#ifndef STEALS_1
#define STEALS_1 2
#endif
#ifndef STEALS_2
#define STEALS_2 1
#endif

#define TAIL       0
#define MINE       1
#define BUFFER     2             /* 0: the first one, 1: the grown one */
#define SLOT(b, i) (3 + (b) * 2 + ((i) & (1 + 2 * (b)))) /* masks 1 and 3 */
#define CELLS      9

#include "tso.h"

#define OWNER 0

#define OWNED  0
#define ASKED  1
#define SHARED 2

byte head, state; /* both in one word */
bool freed;       /* ghost: the first buffer */
byte taken;       /* ghost: one bit for each index */

/* Element i + 1 is the one that was pushed to index i. */
inline take(index, element)
{
	assert(element == (index) + 1);
	assert(!(taken & (1 << (index))));
	taken = taken | (1 << (index))
}

inline store(where, value)
{
	atomic { nfull(buffer[OWNER]) -> STORE(OWNER, where, value); copies[where] = value }
}

#define tail    copies[TAIL]
#define current copies[BUFFER]

inline put()
{
#ifdef BROKEN_PUBLISH_EARLY
	store(TAIL, tail + 1);
	store(SLOT(current, tail - 1), tail)
#else
	store(SLOT(current, tail), tail + 1);
	store(TAIL, tail + 1)
#endif
}

inline grow()
{
	i = seen;
	do
#ifndef BROKEN_NO_COPY
	:: i < tail -> store(SLOT(1, i), copies[SLOT(0, i)]); i++
	:: i >= tail -> break
#else
	:: break
#endif
	od;
	i = 0;
#ifdef BROKEN_BUFFER_LATE
	copies[BUFFER] = 1;
	late = true;
#else
	store(BUFFER, 1);
#endif
#ifdef BROKEN_FREE_OLD
	freed = true;
#endif
	bound = seen + 4
}

inline push()
{
	room = true;
	if
	:: tail != bound
	:: tail == bound ->
#ifdef BROKEN_OVERWRITE
		bound = tail + 2 + 2 * current;
#else
		atomic { seen = (head > mine -> head : mine); bound = seen + 2 + 2 * current };
		if
		:: tail != bound
#ifdef GROWS
		:: tail == bound && current == 0 -> grow()
		:: tail == bound && current == 1 -> room = false
#else
		:: tail == bound -> room = false
#endif
		fi
#endif
	fi;
	if
	:: room -> put()
	:: else
	fi;
#ifdef BROKEN_BUFFER_LATE
	if
	:: late -> STORE(OWNER, BUFFER, 1); late = false
	:: else
	fi;
#endif
	seen = 0
}

/* weft__ring_pop_shared() */
inline pop_shared()
{
	do
	:: atomic { state == ASKED && DRAINED(OWNER) -> head = mine; state = SHARED }
	:: atomic { state == SHARED -> seen = head };
		if
		:: seen == tail -> mine = seen; break
		:: else
		fi;
#ifdef BROKEN_POP_STORES
		if
		:: head == seen -> got = true
		:: else
		fi;
		if
		:: got -> take(seen, copies[SLOT(current, seen)]); head = seen + 1; mine = seen + 1; break
		:: else
		fi
#else
		atomic { DRAINED(OWNER) ->
			if
			:: head == seen ->
				got = true;
				take(seen, copies[SLOT(current, seen)]);
				head++;
				mine = head
			:: else
			fi
		};
		if
		:: got -> break
		:: else
		fi
#endif
	:: atomic { state == OWNED -> assert(false) }
	od;
	store(MINE, 2 * mine);
	if
#ifdef BROKEN_OWN_STORES
	:: got -> head = mine; state = OWNED
#else
	:: got ->
		atomic { DRAINED(OWNER) ->
			if
			:: head == mine && state == SHARED -> state = OWNED
			:: else
			fi
		}
#endif
	:: true
	fi
}

inline pop()
{
	got = false;
	if
#ifndef BROKEN_READ_LATE
	:: d_step { mine == tail -> assert(taken == (1 << tail) - 1) }
#else
	:: mine == tail
#endif
	:: mine != tail ->
#ifdef BROKEN_NO_LIGHT
		seen = state;
		store(MINE, 2 * mine + 1);
#else
		store(MINE, 2 * mine + 1);
		LIGHT_FENCE;
		seen = state;
#endif
		if
		:: atomic { seen == OWNED -> got = true; take(mine, copies[SLOT(current, mine)]); mine++ };
			store(MINE, 2 * mine)
		:: seen != OWNED -> store(MINE, 2 * mine); pop_shared()
		fi
	fi;
	seen = 0
}

active proctype owner()
{
	byte copies[CELLS]; /* the owner's view of its stores */
	byte mine, bound = 2, seen, i;
	bool got, room, late;

	do
	:: tail < PUSHES -> push()
	:: true ->
		pop();
		if
		:: tail == PUSHES && !got && mine == tail -> break
		:: else
		fi
	od;
#ifndef BROKEN_READ_LATE
	assert(taken == (1 << PUSHES) - 1) /* head is at the end, so everything was taken */
#endif
}

inline read()
{
	atomic { assert(!(freed && from == 0)); loot[0] = cell[SLOT(from, where)] };
	if
	:: n == 2 -> atomic { assert(!(freed && from == 0)); loot[1] = cell[SLOT(from, where + 1)] }
	:: else
	fi
}

inline take_loot()
{
	take(where, loot[0]);
	if
	:: n == 2 -> take(where + 1, loot[1])
	:: else
	fi
}

/* Takes the older half of what it sees, at most max elements. Of an odd number it takes the larger
 * half. */
proctype thief(byte me, steals, max)
{
	byte attempts, where, kind, from, size, n, loot[2];

	do
	:: attempts < steals ->
		attempts++;
again:		atomic { where = head; kind = state; from = 0; size = 0; n = 0; loot[0] = 0; loot[1] = 0 };
		if
		:: kind == SHARED
		:: else ->
			/* weft__ring_empty() */
			size = cell[MINE] / 2;
			size = (size > where -> size : where);
			if
			:: cell[TAIL] <= size -> goto none
			:: else -> size = 0
			fi;
			/* share() */
#ifdef BROKEN_LOOK_FIRST
			size = cell[MINE];
#endif
			if
			:: atomic { kind == OWNED ->
				if
				:: head == where && state == OWNED -> state = ASKED
				:: else -> goto again
				fi }
			:: kind == ASKED
			fi;
#ifndef BROKEN_NO_HEAVY
			heavy_fence(me);
#endif
#ifndef BROKEN_LOOK_FIRST
			size = cell[MINE];
#endif
#ifndef BROKEN_IGNORE_TAKING
			do
			:: size & 1 -> goto none
			:: size & 1 ->
				if
				:: head != where || state != ASKED -> goto again
				:: else
				fi;
				size = cell[MINE]
			:: !(size & 1) -> break
			od;
#endif
			atomic {
				if
				:: head == where && state == ASKED -> head = size / 2; state = SHARED
				:: else
				fi;
				goto again
			}
		fi;
		atomic {
			size = cell[TAIL] - where;
			n = size - size / 2;
			n = (n > max -> max : n);
			size = 0
		}
		if
		:: n == 0 -> goto none
		:: else
		fi;
		from = cell[BUFFER];
#ifndef BROKEN_READ_LATE
		read();
#endif
#ifdef BROKEN_STEAL_STORES
		if
		:: head == where && state == SHARED -> atomic { head = where + n; state = SHARED; take_loot() }
		:: else -> goto again
		fi;
#else
		atomic {
			if
			:: head == where && state == SHARED -> head = where + n
			:: else -> goto again
			fi;
#ifndef BROKEN_READ_LATE
			take_loot()
#endif
		}
#ifdef BROKEN_READ_LATE
		read();
		take_loot();
#endif
#endif
none:		atomic { where = 0; kind = 0; from = 0; size = 0; n = 0; loot[0] = 0; loot[1] = 0 }
	:: attempts == steals -> break
	od
}

init {
	atomic { run thief(0, STEALS_1, 1); run thief(1, STEALS_2, 2) }
}
