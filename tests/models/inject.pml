/* SPDX-License-Identifier: MIT */
/*
 * The consumers of the injection queue. They take a trylock, and a consumer that is turned away
 * leaves a mark. The model is about what a consumer owes to the others.
 *
 * Mirrors:
 *  - sched/queue/urcu.c: weft__wfcq_enqueue(), weft__wfcq_take(), take_locked(),
 *    weft__wfcq_empty();
 *  - the calls of these in sched/core/pick.c weft__from_injection() and sched/core/find.c
 *    weft__find();
 *  - parts of sched/core/rouse.c: weft__announce();
 *  - parts of sched/core/idle.c: weft__sleep_announce(), weft__get_up(), weft__search_stop().
 *
 * The actors:
 *  - PRODUCERS threads. Each injects one task, with a light fence, as workers do.
 *  - A holder. It looks into the queue between two other tasks and is not a searcher. Then it computes
 *    for as long as some task has not started: it has found another task elsewhere.
 *  - A worker that goes to sleep.
 *
 * Invariant: no task stays in the queue while the worker sleeps. That would be a deadlock.
 *
 * Bounds: 2 producers; batches of 1 and 2. A producer stores the link after its exchange of the
 * tail, and that store goes through its store buffer. Locked instructions change everything else.
 * Abstracted: a section under idle_lock is one step; what the sleeper finds is short; a consumer
 * runs one task, and the other tasks that it took count as started (idle.pml has the rings).
 *
 * Broken:
 *  - NO_LOOK_AGAIN: the holder does not look again for consumers that it turned away.
 *  - BLOCKED_IS_ENOUGH: it does not look again if it saw a producer between its two steps.
 *  - NO_ANNOUNCE: it does not announce what it leaves.
 *  - NO_HEAVY: the sleeper's fence is light.
 *  - NO_MARK: consumers that are turned away leave no trace (a plain trylock).
 */
#define PRODUCERS 2
#define HOLDER    2
#define SLEEPER   3
#define STORERS   4
#define FENCERS   4
#define FENCERS_STORE
#define CELLS     PRODUCERS /* node i, in the order of the queue, is linked */
#define DEPTH     1

#include "tso.h"

byte head, tail;  /* of the queue: how many nodes were taken, how many exchanged the tail */
byte consumers;   /* the trylock and its marks */
bool asleep, awake;
byte searchers;
byte started;     /* ghost */

inline announce(me)
{
	LIGHT_FENCE;
	if
	:: asleep && searchers == 0 -> wake_one(me)
	:: else
	fi
}

/* The sleeper is the only worker that can be woken. */
inline wake_one(me)
{
	atomic {
		DRAINED(me) ->
		if
		:: searchers == 0 && asleep -> asleep = false; searchers++; woke = true
		:: else
		fi
	}
	if
	:: atomic { woke -> woke = false; awake = true }
	:: else
	fi
}

proctype producer(byte me)
{
	byte node;
	bool woke;

	atomic { DRAINED(me) -> node = tail; tail++ }
	STORE(me, node, 1);
	announce(me)
}

/* Takes up to max nodes. n is how many. */
inline take(me, max)
{
	n = 0;
	again = true;
	do
	:: again && n < max && head != tail ->
		again = false;
		blocked = false;
		if
#ifdef BROKEN_NO_MARK
		:: atomic { consumers > 0 -> break }
#else
		:: atomic { DRAINED(me) && consumers > 0 -> consumers = 2; break }
#endif
		:: atomic { DRAINED(me) && consumers == 0 -> consumers = 1 }
		fi;
		do
		:: n < max && head != tail && cell[head] -> atomic { head++; n++ }
		:: n < max && head != tail && !cell[head] -> blocked = true; break
		:: n == max || head == tail -> break
		od;
		atomic {
			DRAINED(me) -> again = consumers > 1;
			consumers = 0
		}
#ifdef BROKEN_BLOCKED_IS_ENOUGH
		again = again && !blocked;
#endif
#ifdef BROKEN_NO_LOOK_AGAIN
		again = false;
#endif
	:: else -> break
	od;
	blocked = false;
	again = false
}

/* weft__from_injection() runs one of the tasks it took, and keeps the others where they can be
 * stolen. Here it starts them, too. */
inline from_injection(me, max)
{
	if
	:: head != tail ->
		take(me, max);
		started = started + n;
#ifndef BROKEN_NO_ANNOUNCE
		if
		:: n > 0 && (n > 1 || head != tail) -> announce(me)
		:: else
		fi
#endif
	:: else
	fi
}

proctype holder(byte max)
{
	bool woke, again, blocked;
	byte n;

	from_injection(HOLDER, max);
	n = 0;
	started == PRODUCERS /* computes */
}

/* weft__get_up() */
inline get_up(me)
{
	if
	:: atomic { DRAINED(me) && asleep -> asleep = false; searchers++ }
	:: !asleep -> awake
	fi
}

proctype sleeper()
{
	bool woke, again, blocked, searching;
	byte n;

	do
	:: started == PRODUCERS -> break
	:: started < PRODUCERS ->
		from_injection(SLEEPER, PRODUCERS);
		if
		:: n > 0 -> goto run_it
		:: else
		fi;
		/* weft__sleep_announce() */
		atomic {
			DRAINED(SLEEPER) -> asleep = true;
			awake = false;
			searchers = searchers - searching;
			searching = false
		}
#ifndef BROKEN_NO_HEAVY
		heavy_fence(SLEEPER);
#endif
		from_injection(SLEEPER, 1);
		if
		:: n > 0 -> get_up(SLEEPER)
		:: n == 0 && awake
		:: n == 0 && started == PRODUCERS -> break
		fi;
		searching = true;
run_it:		n = 0;
		/* It either goes to sleep again as a searcher, or stops being one. */
		if
		:: searching
		:: searching -> searchers--; searching = false
		:: !searching
		fi
	od
}

init {
	atomic {
		run producer(0);
		run producer(1);
		if
		:: run holder(1)
		:: run holder(2)
		fi;
		run sleeper()
	}
}
