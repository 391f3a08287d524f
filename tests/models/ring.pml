/* SPDX-License-Identifier: MIT */
/*
 * The ready ring: the owner's push and pop against two thieves that take half.
 *
 * Mirrors: sched/queue/ring.h weft__ring_push(), weft__ring_pop(); sched/queue/ring.c
 * weft__ring_steal().
 *
 * Invariants: what is taken from index i is what was pushed there, so each element is taken once
 * and in order; nothing is lost; push says "full" only if there are as many as the capacity when it
 * looks; pop says "none" only if there is none; a steal that says so has seen none.
 *
 * Bounds: CAPACITY 2 and 4, PUSHES pushes and pops in any order and then pops until it is empty;
 * two thieves with STEALS attempts each, max 1 and 2.
 *
 * The owner's stores of tail and the slots go through its store buffer. Thieves load in program
 * order, as their acquires say, and change head by CAS only: no store-load race is here, so there
 * is no fence. The compare-and-swap of the weak kind that fails for nothing only repeats, and is
 * left out.
 *
 * Broken: PUBLISH_EARLY: tail before the slot (its release is missing). READ_LATE: a thief reads
 * the slots after its CAS. OVERWRITE: push takes the ring for empty when its bound is reached,
 * without a look at head. POP_STORES: the owner moves head by load and store. STEAL_STORES: thieves
 * do.
 */
#define STORERS 1
#define FENCERS 1
#define DEPTH   3

#ifndef CAPACITY
#define CAPACITY 2
#endif
#ifndef PUSHES
#define PUSHES 4
#endif
#ifndef STEALS
#define STEALS 2
#endif

#define TAIL    0
#define SLOT(i) (1 + ((i) & (CAPACITY - 1)))
#define CELLS   (1 + CAPACITY)

#include "tso.h"

#define OWNER 0

byte head;
byte taken; /* ghost: a bit for each index */

/* Element i + 1 is the one that was pushed to index i. */
inline take(index, element)
{
	assert(element == (index) + 1);
	assert(!(taken & (1 << (index))));
	taken = taken | (1 << (index))
}

active proctype owner()
{
	byte tail, bound = CAPACITY, seen, copies[CAPACITY];
	bool got;

	do
	:: tail < PUSHES ->
		if
		:: tail == bound ->
#ifdef BROKEN_OVERWRITE
			bound = tail + CAPACITY;
#else
			bound = head + CAPACITY;
#endif
			if
			:: tail == bound -> goto next
			:: else
			fi
		:: else
		fi;
#ifdef BROKEN_PUBLISH_EARLY
		STORE(OWNER, TAIL, tail + 1);
		STORE(OWNER, SLOT(tail), tail + 1);
#else
		STORE(OWNER, SLOT(tail), tail + 1);
		STORE(OWNER, TAIL, tail + 1);
#endif
		d_step { copies[tail & (CAPACITY - 1)] = tail + 1; tail++ }
next:		skip
	:: 	/* pop; after all pushes until there is nothing */
		seen = head;
		got = false;
		do
		:: seen == tail -> break
		:: seen != tail ->
#ifdef BROKEN_POP_STORES
			if
			:: head == seen -> got = true
			:: head != seen -> seen = head
			fi;
			if
			:: got -> take(seen, copies[seen & (CAPACITY - 1)]); head = seen + 1; break
			:: else
			fi
#else
			atomic {
				DRAINED(OWNER) ->
				if
				:: head == seen ->
					head++;
					got = true;
					take(seen, copies[seen & (CAPACITY - 1)])
				:: else -> seen = head
				fi
			}
			if
			:: got -> break
			:: else
			fi
#endif
		od;
		seen = 0;
		if
		:: tail == PUSHES && !got -> break
		:: else -> got = false
		fi
	od;
#ifndef BROKEN_READ_LATE
	assert(taken == (1 << PUSHES) - 1) /* head is at the end, so all has been taken */
#endif
}

/* Takes the older half of what it sees, the larger one of an odd number, up to max. */
proctype thief(byte max)
{
	byte attempts, from, size, n, i, loot[2];

	do
	:: attempts < STEALS ->
		attempts++;
again:		from = head;
		atomic {
			size = cell[TAIL] - from;
			n = size - size / 2;
			n = (n > max -> max : n)
		}
		if
		:: n == 0 -> goto none
		:: n > 0 && size > CAPACITY -> d_step { size = 0; n = 0; from = 0 }; goto again
		:: else -> size = 0
		fi;
#ifndef BROKEN_READ_LATE
		do
		:: i < n -> loot[i] = cell[SLOT(from + i)]; i++
		:: i == n -> break
		od;
		i = 0;
#endif
		if
#if defined(BROKEN_STEAL_STORES)
		:: head == from ->
			head = from + n;
			do
			:: i < n -> take(from + i, loot[i]); i++
			:: i == n -> break
			od
#elif defined(BROKEN_READ_LATE)
		:: atomic { head == from -> head = from + n }
			do
			:: i < n -> loot[i] = cell[SLOT(from + i)]; take(from + i, loot[i]); i++
			:: i == n -> break
			od
#else
		:: atomic {
			head == from ->
			head = from + n;
			do
			:: i < n -> take(from + i, loot[i]); i++
			:: i == n -> break
			od
		}
#endif
		:: atomic { head != from -> n = 0; from = 0; loot[0] = 0; loot[1] = 0; goto again }
		fi;
none:		atomic { i = 0; n = 0; from = 0; size = 0; loot[0] = 0; loot[1] = 0 }
	:: attempts == STEALS -> break
	od
}

init {
	atomic { run thief(1); run thief(2) }
}
