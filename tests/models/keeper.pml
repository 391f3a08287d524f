/* SPDX-License-Identifier: MIT */
/*
 * Deadlines and their keeper. No deadline may pass while all workers sleep beyond it.
 *
 * Mirrors:
 *  - sched/core/timer.c: publish_earliest(), weft__timer_arm(), weft__timers_pop_locked();
 *  - sched/core/wait.c: wait_task(), weft__expire();
 *  - sched/core/execute.c: announce_armed();
 *  - sched/core/find.c: weft__find(), run_timers(), search(), or_handed();
 *  - sched/core/steal.c: weft__steal();
 *  - sched/core/sleepers.h: push_sleeper_locked(), take_sleeper_locked(), as_sleeper();
 *  - sched/core/rouse.c: weft__wake_one(), weft__announce(), weft__hand_to_sleeper(),
 *    weft__announce_timer(), weft__nudge();
 *  - sched/core/idle.c: earliest_deadline(), deadline_unkept(), weft__search_stop(),
 *    weft__sleep_announce(), await_rouse(), weft__get_up(), keep_time(), weft__sign_off(),
 *    must_get_up(), weft__sleep();
 *  - sched/core/workers.c: retire_locked(), weft__worker_leave().
 *
 * The actors: three workers, and a clock.
 *  - The first worker runs ARMS tasks that each wait until a deadline. If ARMS is 1, it then runs
 *    one that computes. If ARMS is 2, it has nothing more.
 *  - With ARMER=2 it is the last worker that runs the one task that waits.
 *  - With RETIRE the last worker is told to retire at any moment. It goes, or stays for a pinned
 *    task.
 *  - With OUTSIDE a plain thread injects a task.
 *  - Each task that was woken or injected computes until all have started. So each of them needs a
 *    worker of its own.
 *  - The clock moves on at any time, except while a deadline that has come is still armed.
 *
 * Invariants: a deadline that has come is expired while a worker sleeps that could expire it, and
 * is not mistaken for a later one. If it is not expired, the clock stands still, and this is a
 * deadlock. The keeper is always on the list of sleepers.
 *
 * Not modelled: who keeps time while nobody sleeps (timekeeper.pml).
 *
 * Bounds: as above. One heap is used. There are two moments to come. SEARCHERS workers search at a
 * time, which may be exceeded. A deadline that has passed when it would be armed is not armed.
 *
 * Stores that go through store buffers: `earliest` of the heap, and the heap's unlock after it. A
 * section under idle_lock is one step. The list of sleepers is a set. One deadline is expired at a
 * time, and the worker that expires it runs the task.
 *
 * Broken:
 *  - NO_HEAVY: a worker goes to sleep without the heavy fence.
 *  - LOOK_FIRST: the sleeper looks at the deadlines before it is announced.
 *  - ANNOUNCE_FIRST: sleepers are told before the deadline is in the heap.
 *  - NO_ANNOUNCE: sleepers are not told.
 *  - ONLY_IF_UNKEPT: sleepers are told if there is no keeper, but not if the keeper keeps a later
 *    deadline.
 *  - NO_KEEP_AGAIN: a worker that is woken for an earlier deadline does not become the keeper while
 *    there is another one.
 *  - NO_RESET: a keeper that is taken off the list still counts as the keeper.
 *  - KEEP_ROUSED: a worker that was taken off the list meanwhile becomes the keeper.
 *  - NO_LOOK_AROUND: the last searcher that finds something does not look at the deadlines.
 *  - NO_SIGN_OFF: a worker that leaves does not look at the deadlines.
 *  - HAND_KEEPER: the keeper is handed a task like any other sleeper.
 *  - HAND_UNSETTLED: a sleeper that has not looked at the deadlines yet is handed a task, and then
 *    does not look.
 */
#define WORKERS 3
#ifndef ARMS
#define ARMS 2
#endif
#ifndef ARMER
#define ARMER 0
#endif
#ifndef OUTSIDE
#define OUTSIDE 0
#endif
#ifndef SEARCHERS
#define SEARCHERS 1
#endif
#define TASKS (ARMS + OUTSIDE)

#define STORERS 3
#define FENCERS 3
#define FENCERS_STORE
#define DEPTH   2
/* Deadlines 1 and 2 are stored as their urgency, which is 2 and 1. 0 means that there is none. */
#define EARLIEST 0
#define LOCKED   1
#define CELLS    2

#include "tso.h"

#define DUE(urgency) ((urgency) > 0 && (urgency) + now >= 3)
#define TOP          (heap >= 2 -> 2 : heap)

byte now;
byte heap;          /* under its lock: one bit for each armed urgency */
byte searchers;
#include "sleep_state.h"
byte state[3];      /* enum sleep_state */
bool retires[3];
byte keeper, kept;  /* the keeper's number + 1; the urgency of its deadline */
bool retiring, pinned;
bool injected;
bool handed[3];
bool gone;          /* the last worker has left */
byte started;       /* ghost */

#define LAST_AWAKE(me) \
	((me == 0 || LISTED(0)) && (me == 1 || LISTED(1)) && (me == 2 || LISTED(2) || gone))
#define SLEEPER(w) (LISTED(w) && !retires[w])
#define SLEEPERS   (SLEEPER(0) || SLEEPER(1) || SLEEPER(2))
#define OVER       (started == TASKS)

inline take_sleeper(w)
{
	state[w] = TAKEN;
	searchers++;
	if
#ifndef BROKEN_NO_RESET
	:: keeper == w + 1 -> keeper = 0; kept = 0
#endif
	:: else
	fi
}

inline wake_one(searchers_do)
{
	atomic {
		DRAINED(me) ->
		if
		:: SLEEPER(0) && !(searchers_do && searchers) -> target = 1
		:: SLEEPER(1) && !(searchers_do && searchers) -> target = 2
		:: SLEEPER(2) && !(searchers_do && searchers) -> target = 3
		:: else
		fi;
		if
		:: target -> take_sleeper(target - 1)
		:: else
		fi
	}
	rouse(ROUSED_TO_SEARCH)
}

inline rouse(to)
{
	if
	:: atomic {
		target -> assert(state[target - 1] == TAKEN);
		state[target - 1] = to;
		target = 0
	}
	:: !target
	fi
}

/* The earliest deadline of the worker's own heap. Its store may still be in the buffer. There is at
 * most one. */
#define OWN_EARLIEST \
	(buffer[me]??[EARLIEST, 2] -> 2 : \
	 (buffer[me]??[EARLIEST, 1] -> 1 : (buffer[me]??[EARLIEST, 0] -> 0 : cell[EARLIEST])))

inline announce_timer()
{
	timer_armed = false;
	LIGHT_FENCE;
#ifndef BROKEN_NO_ANNOUNCE
	if
#ifdef BROKEN_ONLY_IF_UNKEPT
	:: SLEEPERS && kept == 0 -> wake_one(false)
#else
	:: SLEEPERS && OWN_EARLIEST > kept -> wake_one(false)
#endif
	:: else
	fi
#endif
}

/* wait_task(), weft__timer_arm() */
inline arm(urgency)
{
	if
	:: DUE(urgency) -> started++
	:: atomic {
		!DUE(urgency) && DRAINED(me) && !cell[LOCKED] ->
		cell[LOCKED] = 1;
		best = TOP;
		heap = heap | urgency
	}
		if
		:: urgency > best -> STORE(me, EARLIEST, urgency)
		:: else
		fi;
		STORE(me, LOCKED, 0);
		timer_armed = true;
		best = 0
	fi
}

/* Takes a deadline that has come out of the heap, whichever worker armed it: t. */
inline run_timers()
{
	if
	:: t == 0 && DUE(cell[EARLIEST]) ->
		atomic {
			DRAINED(me) && !cell[LOCKED] ->
			if
			:: DUE(TOP) -> heap = heap - TOP; t = 1; cell[LOCKED] = 1
			:: else
			fi
		}
		if
		:: t -> STORE(me, EARLIEST, TOP); STORE(me, LOCKED, 0)
		:: else
		fi
	:: else
	fi
}

inline from_injection()
{
	d_step {
		if
		:: injected && t == 0 && !retires[me] -> injected = false; t = 1
		:: else
		fi
	}
}

inline earliest_deadline()
{
	best = cell[EARLIEST]
}

inline search_stop()
{
	atomic {
		DRAINED(me) -> last = (searchers == 1 && SLEEPERS);
		searchers--;
		state[me] = RUNNING
	}
	if
	:: last ->
		last = false;
		heavy_fence(me);
#ifdef BROKEN_NO_LOOK_AROUND
		best = 0;
#else
		earliest_deadline();
#endif
		if
		:: best > kept || injected -> wake_one(true)
		:: else
		fi;
		best = 0
	:: else
	fi
}

inline from_hands()
{
	d_step {
		if
		:: t == 0 && me != 0 && handed[0] -> handed[0] = false; t = 1
		:: t == 0 && me != 1 && handed[1] -> handed[1] = false; t = 1
		:: t == 0 && me != 2 && handed[2] -> handed[2] = false; t = 1
		:: else
		fi
	}
}

#ifdef BROKEN_HAND_UNSETTLED
#define ANSWERABLE false
#else
#define ANSWERABLE (!fast_asleep)
#endif

inline await_rouse()
{
	ROUSED(me);
	atomic {
		DRAINED(me) ->
		searchers = searchers + (state[me] == ROUSED_WITH_TASK && ANSWERABLE);
		state[me] = (state[me] != ROUSED_WITH_TASK || ANSWERABLE -> SEARCHING : RUNNING)
	}
}

inline get_up()
{
	if
	:: atomic { DRAINED(me) && LISTED(me) -> take_sleeper(me); state[me] = SEARCHING }
	:: atomic { !LISTED(me) -> fast_asleep = false };
		await_rouse()
	fi
}

inline keep_time()
{
#ifndef BROKEN_LOOK_FIRST
	earliest_deadline();
#endif
	if
#ifdef BROKEN_NO_KEEP_AGAIN
	:: best > kept && kept == 0 ->
#else
	:: best > kept ->
#endif
		atomic {
			DRAINED(me) ->
			if
#ifdef BROKEN_KEEP_ROUSED
			:: best > kept ->
#else
			:: best > kept && LISTED(me) ->
#endif
				keeper = me + 1;
				kept = best;
				until = best
			:: else
			fi
		}
	:: else
	fi;
	best = 0
}

proctype worker(byte me)
{
	byte t, best, target, until;
	bool last, timer_armed, fast_asleep, last_awake;

	if
	:: me == 0 ->
#if ARMER == 0
#ifdef BROKEN_ANNOUNCE_FIRST
		announce_timer();
#endif
		if
		:: arm(1);
#if ARMS == 2
			announce_timer(); /* announce_armed() */
			arm(2)
		:: arm(2);
			announce_timer();
			arm(1)
#endif
		fi;
#ifdef BROKEN_ANNOUNCE_FIRST
		timer_armed = false;
#endif
#endif
		if
		:: true -> goto compute
#if ARMS == 2
		:: true
#endif
		fi
#if ARMER == 2
	:: me == 2 -> arm(1)
#endif
	:: else
	fi;
find:
	if
	:: OVER -> goto out
	:: else
	fi;
	if
	:: atomic { me == 2 && retiring -> retires[me] = true };
		if
		:: state[me] == SEARCHING -> search_stop()
		:: else
		fi;
		if
		:: !pinned -> goto leave
		:: pinned
		fi
	:: me != 2 || !retiring
	fi;
	from_injection();
	run_timers();
	if
	:: t -> goto found
	:: !t && retires[me] -> goto going_to_sleep
	:: else
	fi;
	/* search() */
	if
	:: state[me] != SEARCHING && searchers >= SEARCHERS -> goto going_to_sleep
	:: state[me] != SEARCHING && searchers < SEARCHERS ->
		atomic { DRAINED(me) -> searchers++; state[me] = SEARCHING }
	:: state[me] == SEARCHING
	fi;
	from_hands();
	from_injection();
	run_timers();
	if
	:: t -> goto found
	:: else
	fi;
going_to_sleep:
#ifdef BROKEN_LOOK_FIRST
	earliest_deadline();
#endif
	atomic {
		DRAINED(me) -> searchers = searchers - (state[me] == SEARCHING);
		state[me] = LOOKING_LAST;
		last_awake = LAST_AWAKE(me)
	}
#ifndef BROKEN_NO_HEAVY
	if
	:: last_awake -> last_awake = false
	:: else -> heavy_fence(me)
	fi;
#endif
	from_injection();
	if
	:: t -> get_up(); goto slept
	:: else
	fi;
	if
	:: me == 2 && (retires[me] != retiring || (retiring && !pinned)) -> get_up(); goto slept
	:: else
	fi;
	keep_time();
	atomic {
		fast_asleep = LISTED(me);
		state[me] = (LISTED(me) -> ASLEEP : state[me]);
		timer_armed = timer_armed && !fast_asleep
	};
	if
	:: ROUSED(me) -> await_rouse()
	:: DUE(until) -> get_up()
	:: OVER -> goto out
	fi;
slept:
	skip;
	d_step {
		until = 0;
		fast_asleep = false;
		if
		:: handed[me] -> assert(!t); handed[me] = false; t = 1
		:: else
		fi
	}
	if
	:: !t -> goto find
	:: else
	fi;
found:
	if
	:: state[me] == SEARCHING -> search_stop()
	:: else
	fi;
	atomic { started++; t = 0 };
compute:
	if
	:: timer_armed -> announce_timer()
	:: else
	fi;
	OVER;
	goto out;
leave: /* weft__sign_off() */
	timer_armed = false;
	heavy_fence(me);
#ifndef BROKEN_NO_SIGN_OFF
	earliest_deadline();
	if
	:: best > kept -> wake_one(false)
	:: else
	fi;
	best = 0;
#endif
	atomic { DRAINED(me) -> gone = true };
out:
	skip
}

active proctype clock()
{
end:	do
	:: atomic { now < 2 && !DUE(TOP) -> now++ }
	od
}

#ifdef BROKEN_HAND_KEEPER
#define MAY_HAND(w) true
#else
#define MAY_HAND(w) (keeper != w + 1)
#endif

proctype thread()
{
	byte target;
#if OUTSIDE
	/* weft__hand_to_sleeper(), which does not hand to the keeper */
	if
	:: SLEEPERS && searchers == 0 ->
		atomic {
			if
			:: SLEEPER(0) && MAY_HAND(0) -> target = 1
			:: SLEEPER(1) && MAY_HAND(1) -> target = 2
			:: SLEEPER(2) && MAY_HAND(2) -> target = 3
			:: else
			fi;
			if
			:: target ->
				state[target - 1] = TAKEN;
				handed[target - 1] = true;
				if
				:: keeper == target -> keeper = 0; kept = 0
				:: else
				fi
			:: else
			fi
		}
		if
		:: target -> rouse(ROUSED_WITH_TASK); goto handed_over
		:: else
		fi
	:: else
	fi;
	injected = true;
	if
	:: SLEEPERS && searchers == 0 ->
		atomic {
			if
			:: SLEEPER(0) && !searchers -> target = 1
			:: SLEEPER(1) && !searchers -> target = 2
			:: SLEEPER(2) && !searchers -> target = 3
			:: else
			fi;
			if
			:: target -> take_sleeper(target - 1)
			:: else
			fi
		}
		rouse(ROUSED_TO_SEARCH)
	:: else
	fi;
handed_over:
#endif
#ifdef RETIRE
	retiring = true; /* retire_locked() */
	if
	:: LISTED(2) ->
		atomic {
			if
			:: LISTED(2) -> take_sleeper(2); target = 3
			:: else
			fi
		}
		rouse(ROUSED_TO_SEARCH)
	:: else
	fi
#endif
	skip
}

init {
	atomic {
#ifdef RETIRE
		if
		:: pinned = true
		:: true
		fi;
#endif
		run worker(0);
		run worker(1);
		run worker(2);
		run thread()
	}
}
