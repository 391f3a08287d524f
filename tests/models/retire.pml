/* SPDX-License-Identifier: MIT */
/*
 * A worker that retires. Neither what is in its queues nor the wakes that it gets are lost.
 *
 * Mirrors:
 *  - sched/core/workers.c: retire_locked(), start_locked(), weft__worker_leave();
 *  - sched/core/find.c: weft__find(), weft__hand_over();
 *  - sched/core/pick.c: weft__from_inbox(), weft__from_injection();
 *  - sched/core/steal.c: weft__steal();
 *  - sched/core/sleepers.h: as_sleeper(), push_sleeper_locked(), take_sleeper_locked();
 *  - sched/core/rouse.c: rouse(), weft__wake_one(), weft__announce(), weft__nudge();
 *  - sched/core/idle.c: look_at_workers(), weft__search_stop(), weft__sleep_announce(),
 *    weft__get_up(), must_get_up(), weft__sleep();
 *  - sched/core/ready.c: weft__inject(), to_inbox();
 *  - sched/core/chaos.c: weft__chaos_send_away();
 *  - sched/queue/urcu.c: weft__rcu_lock(), weft__rcu_unlock(), weft__rcu_synchronize().
 *
 * The actors: two workers, of which the second one retires; a teller, which changes the number of
 * workers; and a plain thread that injects a task.
 *  - With SENDER, or with neither SENDER nor RING, there is a third worker that never looks for
 *    work. It sends a task to the inbox of the second worker. If that worker is about to go, it
 *    sends the task to its own inbox, where nobody looks for it: such a task counts as started.
 *  - With PINNED the second worker has a pinned task that waits, and the third worker wakes it.
 *  - With RING the first task of the second worker makes another task runnable.
 *  - With AGAIN there is none of these. The worker is told to stay, or is started again. Then two
 *    tasks are injected, which compute until both have started.
 *
 * Invariants:
 *  - All tasks are started and, without AGAIN, the worker goes. If not, this is a deadlock.
 *  - A worker that goes leaves empty queues behind.
 *  - The sleepers are counted correctly.
 *
 * Bounds: as above. One worker searches at a time, which may be exceeded, as in the C code.
 *
 * `retiring` goes through a store buffer. Locked instructions change the queues (idle.pml has their
 * buffers), and a worker looks at its own queues in one step. A section under `admin` or idle_lock
 * is one step. The grace period waits for the one reader that matters.
 *
 * Broken:
 *  - NO_HAND_OVER: the worker goes without emptying its ring.
 *  - NO_DRAIN: it goes without emptying its inbox.
 *  - NO_SYNCHRONIZE: it empties its inbox before the grace period is over.
 *  - NO_PINNED: it does not wait for its pinned task.
 *  - NO_STOP: it goes while it still counts as a searcher.
 *  - NO_LOOK_AROUND: it does not look for the work that it was woken for.
 *  - NO_NUDGE: it is not woken to be told.
 *  - NUDGE_FIRST: it is woken before it is told.
 *  - NO_RECHECK: it sleeps without a last look at what it is told.
 *  - NUDGE_LIGHT: the teller that wakes it has only a light fence.
 *  - LEAVE_ANYWAY: it goes although it was told to stay.
 *  - NO_NUDGE_BACK: it is told to stay, but not woken.
 *  - AS_IT_IS_NOW: whether a worker that is taken off the list counts as a sleeper depends on what
 *    it has been told by then.
 */
#define TELLER  0 /* changes the number of workers; also its store buffer */
#define STORERS 1
#define FENCERS 2
#define DEPTH   1
#define RETIRING 0
#define CELLS   1

#include "tso.h"

mtype = { WORKER_RUNNING, WORKER_RETIRING, WORKER_GONE };

mtype life = WORKER_RUNNING; /* of the second worker, under `admin` */
bool in_table = true, reading;
byte injection, ring, inbox;
byte searchers, sleepers;
#include "sleep_state.h" /* a sleeper stays LOOKING_LAST here: nobody hands it a task */
byte state[2];          /* enum sleep_state */
bool retires[2];
bool pinned;            /* a pinned task has not ended */
byte started;           /* ghost */

#define R 1

#if !defined(AGAIN) && !defined(RING) && !defined(SENDER)
#define SENDER
#endif
#if defined(RING) && defined(SENDER)
#define TASKS 3
#else
#define TASKS 2
#endif
#define OVER (started == TASKS)

inline take_sleeper(w)
{
	state[w] = TAKEN;
	searchers++;
	if
#ifdef BROKEN_AS_IT_IS_NOW
	:: w != R || !cell[RETIRING] ->
#else
	:: !retires[w] ->
#endif
		assert(sleepers > 0);
		sleepers--
	:: else
	fi
}

inline rouse()
{
	if
	:: atomic {
		target -> assert(state[target - 1] == TAKEN);
		state[target - 1] = ROUSED_TO_SEARCH;
		target = 0
	}
	:: !target
	fi
}

inline announce()
{
	if
	:: sleepers && !searchers ->
		atomic {
			if
			:: !searchers && LISTED(0) -> target = 1
			:: !searchers && LISTED(R) && !retires[R] -> target = R + 1
			:: else
			fi;
			if
			:: target -> take_sleeper(target - 1)
			:: else
			fi
		}
		rouse()
	:: else
	fi
}

inline inject()
{
	injection++;
	announce()
}

inline nudge(by_teller)
{
#ifdef BROKEN_NUDGE_LIGHT
	LIGHT_FENCE;
#else
	!by_teller || DRAINED(TELLER); /* a full fence */
#endif
	if
	:: LISTED(R) ->
		atomic {
			!by_teller || DRAINED(TELLER) ->
			if
			:: LISTED(R) -> take_sleeper(R); target = R + 1
			:: else
			fi
		}
		rouse()
	:: else
	fi
}

inline search_stop()
{
	atomic {
		assert(searchers > 0);
		last = (searchers == 1 && sleepers);
		searchers--;
		state[me] = RUNNING
	}
#ifdef BROKEN_NO_LOOK_AROUND
	last = false;
#endif
	if
	:: last ->
		last = false;
		heavy_fence(me);
		if
		:: injection || (in_table && ring) -> announce()
		:: else
		fi
	:: else
	fi
}

inline await_rouse()
{
	atomic { ROUSED(me) -> state[me] = SEARCHING }
}

inline get_up()
{
	if
	:: atomic { LISTED(me) -> take_sleeper(me); state[me] = SEARCHING }
	:: atomic { !LISTED(me) -> skip };
		await_rouse()
	fi
}

/* weft__from_ring(), weft__from_inbox() */
inline from_own()
{
	atomic {
		if
		:: me == R && !t && ring -> ring--; t = true
		:: me == R && !t && !ring && inbox -> inbox--; t = true; pinned = false
		:: else
		fi
	}
}

inline from_injection()
{
	atomic {
		if
		:: injection && !t && !retires[me] -> injection--; t = true; more = (injection > 0)
		:: else
		fi
	}
	if
	:: more -> more = false; announce()
	:: else
	fi
}

inline hand_over()
{
#ifndef BROKEN_NO_HAND_OVER
	do
	:: atomic { ring -> ring-- };
		inject()
	:: !ring -> break
	od
#endif
	skip
}

/* Goes to `gone` if the worker has left. */
inline worker_leave()
{
	atomic {
		if
#ifdef BROKEN_LEAVE_ANYWAY
		:: true ->
#else
		:: life == WORKER_RETIRING ->
#endif
			in_table = false;
			life = WORKER_GONE;
			left = true
		:: else
		fi
	}
	if
	:: left ->
		left = false;
#ifndef BROKEN_NO_SYNCHRONIZE
		!reading;
#endif
#ifndef BROKEN_NO_DRAIN
		do
		:: atomic { inbox -> inbox-- };
			inject()
		:: !inbox -> break
		od;
#endif
		heavy_fence(me); /* weft__sign_off() */
		goto gone
	:: else
	fi
}

proctype worker(byte me)
{
	byte target;
	bool t, last, more, left, last_awake;

#ifdef RING
	if
	:: me == R -> ring++; announce()
	:: else
	fi;
#endif
find:
	if
	:: OVER && me != R -> goto out
	:: else
	fi;
	retires[me] = (me == R && cell[RETIRING]);
	if
	:: retires[me] ->
#ifndef BROKEN_NO_STOP
		if
		:: state[me] == SEARCHING -> search_stop()
		:: else
		fi;
#endif
		hand_over();
#ifdef BROKEN_NO_PINNED
		worker_leave()
#else
		if
		:: !pinned -> worker_leave()
		:: else
		fi
#endif
	:: else
	fi;
	from_own();
	from_injection();
	if
	:: t -> goto found
	:: !t && retires[me] -> goto going_to_sleep
	:: else
	fi;
	/* search() */
	if
	:: state[me] != SEARCHING && searchers -> goto going_to_sleep
	:: state[me] != SEARCHING && !searchers -> atomic { searchers++; state[me] = SEARCHING }
	:: state[me] == SEARCHING
	fi;
	atomic {
		if
		:: in_table && ring -> ring--; t = true
		:: me == R && !ring && inbox -> inbox--; t = true; pinned = false
		:: else
		fi
	}
	from_injection();
	if
	:: t -> goto found
	:: else
	fi;
going_to_sleep:
	atomic {
		searchers = searchers - (state[me] == SEARCHING);
		state[me] = LOOKING_LAST;
		last_awake = LISTED(1 - me) || (me == 0 && life == WORKER_GONE);
		sleepers = sleepers + !retires[me]
	}
	if
	:: last_awake -> last_awake = false
	:: else -> heavy_fence(me)
	fi;
	from_own();
	from_injection();
	if
	:: t -> get_up(); goto found
	:: else
	fi;
	if
#ifndef BROKEN_NO_RECHECK
	:: me == R && retires[me] != cell[RETIRING] -> get_up(); goto find
#endif
	:: retires[me] && !pinned -> get_up(); goto find
	:: !retires[me] && in_table && ring -> get_up(); goto find
	:: else
	fi;
	if
	:: ROUSED(me) -> await_rouse()
#ifdef AGAIN
	:: OVER -> goto out
#else
	:: OVER && me != R -> goto out
#endif
	fi;
	goto find;
found:
	if
	:: state[me] == SEARCHING -> search_stop()
	:: else
	fi;
	atomic { started++; t = false };
#ifdef AGAIN
	OVER;
	goto out;
#endif
	goto find;
gone:
	assert(!ring);
#ifdef AGAIN
	if
	:: life == WORKER_RUNNING -> goto find
	:: OVER
	fi
#endif
out:
	skip
}

#ifdef SENDER
/* The third worker. */
proctype sender()
{
	byte target;
	bool seen;

#ifdef PINNED
	inbox++; /* to_inbox() */
	nudge(false)
#else
	/* weft__chaos_send_away() */
	reading = true;
	seen = in_table && !cell[RETIRING];
	if
	:: seen -> inbox++
	:: else -> started++
	fi;
	reading = false;
	if
	:: seen -> nudge(false)
	:: else
	fi
#endif
}
#endif

proctype teller()
{
	byte target, n;

#ifdef BROKEN_NUDGE_FIRST
	nudge(true);
#endif
	life = WORKER_RETIRING;
	STORE(TELLER, RETIRING, 1);
#if !defined(BROKEN_NUDGE_FIRST) && !defined(BROKEN_NO_NUDGE)
	nudge(true);
#endif
	DRAINED(TELLER); /* unlocks `admin` */
#ifdef AGAIN
	if
	:: atomic { life == WORKER_RETIRING -> life = WORKER_RUNNING; STORE(TELLER, RETIRING, 0) };
#ifndef BROKEN_NO_NUDGE_BACK
		nudge(true)
#endif
	:: atomic {
		life == WORKER_GONE -> cell[RETIRING] = 0;
		retires[R] = false;
		in_table = true;
		life = WORKER_RUNNING
	}
	fi;
	DRAINED(TELLER);
	do
	:: n < 2 -> inject(); n++
	:: n == 2 -> break
	od
#else
	life == WORKER_GONE
#endif
}

proctype thread()
{
	byte target;

#ifndef AGAIN
	inject()
#endif
	skip
}

init {
	atomic {
#ifdef PINNED
		pinned = true;
#endif
#ifdef AGAIN
		if
		:: pinned = true
		:: true
		fi;
#endif
		run worker(0);
		run worker(R);
#ifdef SENDER
		run sender();
#endif
		run teller();
		run thread()
	}
}
