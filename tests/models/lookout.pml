/* SPDX-License-Identifier: MIT */
/*
 * The lookout: a sleeper that waits for events in place of its futex. No wake-up of it may be lost,
 * and none may be used up by another worker.
 *
 * Mirrors:
 *  - sched/core/events.c: weft__events_sleep(), weft__events_deliver(), weft__events_interrupt(),
 *    weft__events_look();
 *  - sched/core/rouse.c: rouse();
 *  - sched/io/poller.c: source_wait(), source_look(), source_interrupt().
 *
 * The actors:
 *  - Two sleepers. Each becomes the lookout if there is none, and sleeps on its futex otherwise.
 *  - A waker for the first one, and then one for the second.
 *  - Events that come at any time, twice.
 *  - A searcher that looks for events once, without waiting.
 *
 * Invariant: a sleeper whose waker has ended goes on. Otherwise there is a deadlock.
 *
 * Bounds: as above. The bell is a level: it stays until somebody silences it. The stores of the
 * wakers to a sleeper's state go through store buffers, and so does the lookout's name in the twin
 * SLEEPER_LIGHT. Otherwise it is stored by a locked instruction.
 *
 * Broken:
 *  - WAKER_LIGHT: the waker has no full fence before it looks who is the lookout.
 *  - SLEEPER_LIGHT: the sleeper has no full fence before it looks at its state.
 *  - LOOK_FIRST: the sleeper looks at its state before it becomes the lookout.
 *  - RING_FIRST: the waker rings before it stores the state.
 *  - TWO: a sleeper becomes the lookout although there is one.
 *  - ALL_SILENCE: a searcher silences the bell too.
 */
#define STORERS 4
#define FENCERS 1
#define CELLS   3 /* the two states, and the lookout */
#define DEPTH   1

#include "tso.h"

#define ROUSED(me) (cell[me] == 1)
#define LOOKOUT    cell[2] /* 0: none; else the sleeper's number and 1 */
#define OVER       (over == 2)

bool bell, event;
byte over; /* ghost: sleepers that go on for good */

inline become()
{
#ifdef BROKEN_SLEEPER_LIGHT
	if
	:: LOOKOUT == 0 -> STORE(me, 2, me + 1); is = true
	:: LOOKOUT != 0 -> is = false
	fi
#else
	atomic {
		if
#ifdef BROKEN_TWO
		:: true -> LOOKOUT = me + 1; is = true
#else
		:: LOOKOUT == 0 -> LOOKOUT = me + 1; is = true
		:: LOOKOUT != 0 -> is = false
#endif
		fi
	}
#endif
}

proctype sleeper(byte me)
{
	bool is, roused;

again:
#ifdef BROKEN_LOOK_FIRST
	roused = ROUSED(me);
	become();
#else
	become();
	roused = ROUSED(me);
#endif
	if
	:: !is -> ROUSED(me)
	:: is && !roused ->
		/* source_wait(): one waiter gets an event, or silences the bell */
		atomic {
			if
			:: event -> event = false
			:: bell -> bell = false
			fi
		}
	:: is && roused
	fi;
	if
	:: is -> atomic { DRAINED(me) -> LOOKOUT = 0 }
	:: else
	fi;
	if
	:: ROUSED(me) -> over++
	:: else -> goto again
	fi
}

inline ring()
{
	if
	:: LOOKOUT == whom + 1 -> bell = true
	:: else
	fi
}

proctype waker(byte me, whom)
{
#ifdef BROKEN_RING_FIRST
	ring();
	STORE(me, whom, 1)
#else
	STORE(me, whom, 1);
#ifndef BROKEN_WAKER_LIGHT
	DRAINED(me);
#endif
	ring()
#endif
}

proctype events()
{
	event = true;
	do
	:: !event -> event = true; break
	:: OVER -> break
	od
}

/* source_look(): takes an event, and leaves the bell as it is. */
proctype searcher()
{
	atomic {
		if
		:: event -> event = false
		:: true
		fi;
#ifdef BROKEN_ALL_SILENCE
		bell = false
#endif
	}
}

init {
	atomic {
		run sleeper(0);
		run sleeper(1);
		run waker(2, 0);
		run waker(3, 1);
		run events();
		run searcher()
	}
}
