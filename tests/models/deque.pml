/* SPDX-License-Identifier: MIT */
/*
 * The deque of unstarted tasks: the owner's end against two thieves, and growth.
 *
 * Mirrors:
 *  - sched/queue/deque.h: weft__deque_push(), weft__deque_put(), weft__deque_lower(),
 *    weft__deque_pop(), weft__deque_pop_if();
 *  - sched/queue/deque.c: weft__deque_push_full(), grow(), weft__deque_take_claimed(),
 *    read_elements(), weft__deque_steal().
 *
 * Invariants:
 *  - Each element that a push accepted is taken exactly once.
 *  - Nothing is taken that was not pushed. An unwritten slot reads as 0.
 *  - pop and pop_if say "none" only if there is none.
 *  - Nobody reads a freed buffer.
 *
 * Bounds: OPS operations of the owner in any order, then pops until the deque is empty. Two thieves
 * make STEALS_1 and STEALS_2 attempts, and take up to two elements at once. The capacity is 2. It
 * grows to 4 or, without memory, stays. Slots are reused in both cases.
 *
 * The owner's stores of bottom, buffer and slots go through its store buffer. Its loads of these
 * come from local copies. Thieves make no plain stores. Their loads are in program order, as on x86
 * and as their acquires demand. Twins reorder them. The mask of a new buffer is not modelled: it is
 * immutable and published with the slots.
 *
 * Broken:
 *  - NO_HEAVY: the thief's fence is light.
 *  - NO_LIGHT: the owner's compiler has read front before it lowers bottom.
 *  - BOTTOM_FIRST: the thief reads bottom before it claims. Its fence is missing.
 *  - NO_CLAIM: the thief takes two elements without a claim.
 *  - BACK_TO_ZERO: a claim on nothing is taken back.
 *  - NO_CUT: the owner takes a claimed element above top without a compare-and-swap.
 *  - PUBLISH_EARLY: bottom is stored before the slot. Its release is missing.
 *  - BUFFER_LATE: the new buffer is published after the element in it.
 *  - FREE_OLD: the outgrown buffer is freed at once.
 *  - NO_COPY: growing copies nothing.
 *  - NO_CAS: pop takes the last element without a compare-and-swap, even if it is claimed.
 *  - READ_LATE: the thief reads the slots after its compare-and-swap.
 *  - READ_EARLY: the thief reads buffer and slots before bottom. Neither its acquire of bottom nor
 *    its fence keeps these reads behind.
 *  - OVERWRITE: push takes the room to be what it was before.
 */
#define STORERS 1
#define FENCERS 2
#define DEPTH   3

#ifndef OPS
#define OPS 4
#endif
#ifndef STEALS_1
#define STEALS_1 2
#endif
#ifndef STEALS_2
#define STEALS_2 1
#endif

#define BOTTOM     0
#define BUFFER     1             /* 0: the first one, 1: the grown one */
#define SLOT(b, i) (2 + (b) * 2 + ((i) & (1 + 2 * (b)))) /* masks 1 and 3 */
#define CELLS      8

#include "tso.h"

#define OWNER 0

byte top, claim;     /* front */
bool freed;          /* ghost: the first buffer */
byte accepted;       /* ghost: the elements pushed so far are 1 to this */
byte taken;          /* ghost: one bit for each element */
byte count;          /* ghost: the number of bits in taken */

inline store(where, value)
{
	atomic { nfull(buffer[OWNER]) -> STORE(OWNER, where, value); copies[where] = value }
}

inline take(element)
{
	assert(element > 0 && element <= accepted);
	assert(!(taken & (1 << element)));
	taken = taken | (1 << element);
	count++
}

#define bottom copies[BOTTOM]
#define current copies[BUFFER]

inline put(element)
{
#ifdef BROKEN_PUBLISH_EARLY
	store(BOTTOM, bottom + 1);
	store(SLOT(current, bottom - 1), element)
#else
	store(SLOT(current, bottom), element);
	store(BOTTOM, bottom + 1)
#endif
}

inline grow()
{
	i = seen;
	do
#ifndef BROKEN_NO_COPY
	:: i < bottom -> store(SLOT(1, i), copies[SLOT(0, i)]); i++
	:: i >= bottom -> break
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
	:: bottom != bound
	:: bottom == bound ->
#ifdef BROKEN_OVERWRITE
		bound = bottom + 2;
#else
		atomic { seen = top; bound = seen + 2 + 2 * current };
		if
		:: bottom != bound
		:: bottom == bound && current == 0 -> grow()
		:: bottom == bound -> room = false
		fi
#endif
	fi;
	if
	:: room -> accepted++; put(accepted)
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

/* weft__deque_lower() and what follows. lowered: the element's index. got: 0 if the element is
 * gone. */
inline lower_and_take()
{
#ifdef BROKEN_NO_LIGHT
	atomic { seen = top; claimed = claim };
	store(BOTTOM, lowered);
#else
	store(BOTTOM, lowered);
	LIGHT_FENCE;
	atomic { seen = top; claimed = claim };
#endif
	do /* weft__deque_take_claimed() */
	:: seen > lowered -> got = 0; emptied = true; break
	:: seen <= lowered && lowered >= seen + claimed -> take(got); break
#ifdef BROKEN_NO_CAS
	:: seen == lowered && claimed > 0 -> take(got); top = seen + 1; claim = 0; emptied = true; break
#else
	:: atomic { seen == lowered && claimed > 0 && DRAINED(OWNER) ->
		if
		:: top == seen && claim == claimed -> top++; claim = 0; take(got); emptied = true; break
		:: else -> seen = top; claimed = claim
		fi }
#endif
#ifdef BROKEN_NO_CUT
	:: seen < lowered && lowered < seen + claimed -> take(got); break
#else
	:: atomic { seen < lowered && lowered < seen + claimed && DRAINED(OWNER) ->
		if
		:: top == seen && claim == claimed -> claim = lowered - seen; take(got); break
		:: else -> seen = top; claimed = claim
		fi }
#endif
	od;
	if
	:: emptied ->
		store(BOTTOM, lowered + 1);
		/* ghost: there is nothing left, for only the owner puts elements. */
		assert(count == accepted)
	:: else
	fi;
	atomic { seen = 0; claimed = 0; lowered = 0; emptied = false }
}

inline pop()
{
	got = 0;
	if
	:: d_step { bottom <= top -> assert(count == accepted) }
	:: atomic { bottom > top -> lowered = bottom - 1; got = copies[SLOT(current, lowered)] }
		lower_and_take()
	fi
}

/* Pops the element that was pushed last, which may be taken by then. */
inline pop_if(element)
{
	if
	:: bottom == 0 || copies[SLOT(current, bottom - 1)] != element
	:: else ->
		lowered = bottom - 1;
		got = element;
		lower_and_take()
	fi
}

active proctype owner()
{
	byte copies[CELLS]; /* the owner's view of its stores */
	byte i, bound = 2, seen, claimed, lowered, got, ops;
	bool room, late, emptied;

	do
	:: ops < OPS ->
		ops++;
		if
		:: push()
		:: pop()
		:: accepted > 0 -> pop_if(accepted)
		fi;
		got = 0;
		room = false
	:: ops == OPS -> break
	od;
	do
	:: pop();
		if
		:: got == 0 -> break
		:: else
		fi
	od;
	got = 0;
	assert(count == accepted)
}

/* read_elements() */
inline read()
{
	atomic { assert(!(freed && from == 0)); e1 = cell[SLOT(from, mine)] };
	if
	:: n == 2 -> atomic { assert(!(freed && from == 0)); e2 = cell[SLOT(from, mine + 1)] }
	:: else
	fi
}

proctype thief(byte me, steals)
{
	byte attempts, mine, claimed, limit, from, n, e1, e2;

	do
	:: attempts < steals ->
		attempts++;
		atomic { mine = top; claimed = claim };
		limit = cell[BOTTOM];
		if
		:: mine >= limit -> goto none
		:: else
		fi;
#ifndef BROKEN_NO_CLAIM
		if
		:: claimed > 0
		:: atomic { claimed == 0 ->
			if
			:: top == mine && claim == 0 ->
				claim = (limit - mine < 2 -> 1 : 2);
				claimed = claim
			:: else -> goto none
			fi }
		fi;
#endif
#ifdef BROKEN_READ_EARLY
		from = cell[BUFFER];
		n = claimed;
		read();
#endif
#ifndef BROKEN_BOTTOM_FIRST
#ifndef BROKEN_NO_HEAVY
		heavy_fence(me);
#endif
		limit = cell[BOTTOM];
#endif
		from = cell[BUFFER];
again:		n = (mine >= limit -> 0 : (limit - mine < 2 -> 1 : 2));
#ifndef BROKEN_NO_CLAIM
		n = (n < claimed -> n : claimed);
#endif
		if
		:: n > 0
		:: atomic { n == 0 ->
			if
#ifdef BROKEN_BACK_TO_ZERO
			:: top == mine && claim == claimed -> claim = 0
#else
			:: top == mine && claim == claimed && claim > 0 -> claim = 1
#endif
			:: else
			fi;
			goto none }
		fi;
#if !defined(BROKEN_READ_LATE) && !defined(BROKEN_READ_EARLY)
		read();
#endif
		atomic {
			if
			:: top == mine && claim == claimed ->
				top = top + n;
				claim = 0;
#ifndef BROKEN_READ_LATE
				take(e1);
				if
				:: n == 2 -> take(e2)
				:: else
				fi
#endif
			:: top == mine && claim != claimed -> claimed = claim; goto again
			:: top != mine -> goto none
			fi
		}
#ifdef BROKEN_READ_LATE
		read();
		atomic {
			take(e1);
			if
			:: n == 2 -> take(e2)
			:: else
			fi
		}
#endif
none:		atomic { mine = 0; claimed = 0; limit = 0; from = 0; n = 0; e1 = 0; e2 = 0 }
	:: attempts == steals -> break
	od
}

init {
	atomic { run thief(0, STEALS_1); run thief(1, STEALS_2) }
}
