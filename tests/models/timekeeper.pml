/* SPDX-License-Identifier: MIT */
/*
 * The timekeeper. No deadline passes unnoticed while all workers are busy, or while some of them
 * fall asleep or are woken.
 *
 * Mirrors:
 *  - sched/core/timekeeper.c: time_has_come(), lower_until(), call_worker(),
 *    weft__timekeeper_engage(), timekeeper_main(), start();
 *  - sched/core/rouse.c: weft__announce_timer(), weft__wake_one(), weft__hand_to_sleeper();
 *  - sched/core/sleepers.h: take_sleeper_locked(), push_sleeper_locked();
 *  - sched/core/idle.c: pass_on_duties(), weft__search_stop(), keep_time(), await_rouse(),
 *    weft__get_up();
 *  - sched/core/due.c: weft__set_due(), weft__clear_due();
 *  - sched/core/pick.c: pick_specially();
 *  - sched/core/find.c: serve_due(), look_around();
 *  - sched/core/timer.c: publish_earliest();
 *  - sched/core/execute.c: announce_armed().
 *
 * The actors:
 *  - Worker 0 runs a task that arms one deadline. With TWO it arms two, and the earlier one comes
 *    first or last. Then it computes for long. Without CALM it may also end.
 *  - Worker 1 looks for work. While it searches it may find a long task, or two with OTHERS=2.
 *  - The timekeeper, and a clock.
 *  - Without CALM, a thread. It hands a long task to a sleeping worker that is not the keeper, or
 *    wakes any sleeping worker.
 *
 * A long task picks again and again, and its picks look only for DUE. It ends when all deadlines
 * have been served.
 *
 * Invariants: a deadline that nobody serves is a deadlock. While DUE is set, no worker sleeps.
 *
 * Bounds: as above. An urgency of 2 is the deadline that passes first, 1 is the other one, and 0 is
 * none. The armer's stores go through a store buffer. A caller that takes a deadline out of the
 * tree waits for the tree's lock, whose release follows the armer's stores. Its own stores happen
 * at once. A section under idle_lock is one step, except the one in which the thread wakes the
 * keeper. keeper.pml has the keeper's part while others sleep. due.pml has injected tasks.
 *
 * Broken:
 *  - NO_ENGAGE: a caller that arms a deadline engages nobody if no worker sleeps.
 *  - NO_HEAVY: the timekeeper has only a light fence.
 *  - LOOK_FIRST: it looks at the deadlines before it leaves its post.
 *  - NO_PLAN: it does not take its post again for a deadline to come.
 *  - NO_RETURN: a worker that serves deadlines does not engage it again.
 *  - NO_POST: the last searcher does not look whether a post was left.
 *  - KEEPER_SILENT: a keeper that is woken does not say that it has left its post.
 *  - CALLER_SILENT: a caller that wakes a sleeping worker to serve does not say that a post was
 *    left.
 *  - SLEEPER_SILENT: a worker that clears DUE as it goes to sleep does not say that a post was
 *    left.
 *  - WOKEN_SILENT: a caller that wakes a worker to be the keeper does not say that a post was left.
 *  - POST_LIGHT: a worker that looks after a post has only a light fence.
 *  - START_LIGHT: a caller that asks for the thread's start has only a light fence.
 *  - ARMED_SILENT: a worker that goes to sleep, and finds something in its last look, does not
 *    announce that it has a deadline.
 *  - POST_FIRST: a caller that takes the keeper off the list says that a post was left before it
 *    has taken the keeper off.
 */
#define STORERS  1 /* worker 0 */
#define FENCERS  3 /* the workers, the timekeeper */
#define CELLS    1
#define DEPTH    2
#define EARLIEST 0
#define TIMER    2 /* its number as a fencer */

#include "tso.h"

#define PASSED(urgency) ((urgency) > 0 && (urgency) + now >= 3)
#define TOP             (tree >= 2 -> 2 : tree)

byte now;
byte tree;        /* under its lock: one bit for each armed urgency */
byte searchers;
bool due, post_left, runs;
byte until;       /* when the timekeeper looks next */
#include "sleep_state.h"
byte state[2];    /* enum sleep_state */
byte keeper, kept;
bool locked;      /* the thread holds idle_lock */
byte other;       /* how many long tasks searchers have found */
byte armed;       /* ghost: how many deadlines there will be */
byte served;      /* ghost */

#ifndef OTHERS
#define OTHERS 1
#endif

#define SLEEPERS (LISTED(0) || LISTED(1))
#define OVER     (armed && served == armed)

/* A full fence or a locked instruction of worker 0. Worker 1 makes no plain stores. */
#define OWN_STORES_OUT (me == 1 || DRAINED(0))

inline take_sleeper(w)
{
	state[w] = TAKEN;
	if
	:: keeper == w + 1 ->
		keeper = 0;
		kept = 0;
#ifndef BROKEN_KEEPER_SILENT
		post_left = true
#endif
	:: else
	fi
}

/* again stays set if nobody sleeps any longer */
inline wake_one(searchers_do)
{
	atomic {
		!locked ->
		if
		:: searchers_do && searchers -> again = false
		:: !(searchers_do && searchers) && LISTED(0) ->
			take_sleeper(0);
			searchers++;
			state[0] = ROUSED_TO_SEARCH;
			again = false
		:: !(searchers_do && searchers) && LISTED(1) ->
			take_sleeper(1);
			searchers++;
			state[1] = ROUSED_TO_SEARCH;
			again = false
		:: else
		fi
	}
}

/* again stays set if somebody sleeps */
inline set_due()
{
	atomic {
		if
		:: SLEEPERS
		:: else -> due = true; again = false
		fi
	}
}

inline call_worker()
{
	again = true;
	do
	:: again ->
		set_due();
		if
		:: again ->
#ifndef BROKEN_CALLER_SILENT
			post_left = true;
#endif
			wake_one(true)
		:: else
		fi
	:: else -> break
	od
}

inline engage(urgency, by_leader)
{
	if
	:: urgency > until ->
		if
		:: !runs && !by_leader ->
#ifndef BROKEN_START_LIGHT
			OWN_STORES_OUT;
#endif
			call_worker()
		:: else ->
			atomic {
				runs = true;
				if
				:: urgency > until -> until = urgency
				:: else
				fi
			}
		fi
	:: else
	fi
}

inline arm(urgency)
{
	if
	:: PASSED(urgency) -> served++
	:: else ->
		atomic { best = TOP; tree = tree | urgency };
		if
		:: urgency > best -> STORE(0, EARLIEST, urgency)
		:: else
		fi;
		best = 0;
		timer_armed = true
	fi
}

inline announce_armed()
{
	if
	:: timer_armed -> announce_timer()
	:: else
	fi
}

inline announce_timer()
{
	timer_armed = false;
	LIGHT_FENCE;
	if
	:: SLEEPERS && TOP > kept ->
		again = true;
#ifndef BROKEN_WOKEN_SILENT
		post_left = true;
#endif
		wake_one(false)
	:: SLEEPERS && TOP <= kept
	:: !SLEEPERS -> again = true
	fi;
	if
#ifndef BROKEN_NO_ENGAGE
	:: again && TOP > kept -> again = false; engage(TOP, false)
#endif
	:: else -> again = false
	fi
}

/* Takes out all deadlines that have passed. */
inline run_timers()
{
	do
	:: PASSED(cell[EARLIEST]) ->
		atomic {
			DRAINED(0) ->
			if
			:: PASSED(TOP) -> tree = tree - TOP; served++; t = 1
			:: else
			fi;
			cell[EARLIEST] = TOP
		}
	:: else -> break
	od
}

inline serve()
{
	atomic { OWN_STORES_OUT -> due = false };
	run_timers();
#ifndef BROKEN_NO_RETURN
	best = cell[EARLIEST];
	if
	:: best > kept -> engage(best, true)
	:: else
	fi;
	best = 0;
#endif
	t = 0
}

inline search_stop()
{
	atomic { OWN_STORES_OUT -> searchers--; last = (searchers == 0); again = (last && SLEEPERS); state[me] = RUNNING }
	if
	:: again ->
		heavy_fence(me);
		best = cell[EARLIEST];
		if
		:: best > kept -> post_left = true; wake_one(true)
		:: else -> again = false; last = false
		fi;
		if
		:: !again -> last = false
		:: else
		fi;
		best = 0
	:: else
	fi;
	/* pass_on_duties() */
	if
#ifndef BROKEN_NO_POST
	:: atomic { last && post_left -> post_left = false };
#ifndef BROKEN_POST_LIGHT
		heavy_fence(me);
#endif
		best = cell[EARLIEST];
		if
		:: best > kept -> engage(best, true)
		:: else
		fi;
		best = 0
#endif
	:: else
	fi;
	again = false;
	last = false
}

inline await_rouse()
{
	atomic {
		ROUSED(me) ->
		if
		:: state[me] == ROUSED_WITH_TASK && !fast_asleep -> searchers++; state[me] = SEARCHING; t = 2
		:: state[me] == ROUSED_WITH_TASK && fast_asleep -> state[me] = RUNNING; t = 2
		:: state[me] == ROUSED_TO_SEARCH -> state[me] = SEARCHING
		fi
	}
}

inline get_up()
{
	if
	:: atomic { LISTED(me) && !locked -> take_sleeper(me); searchers++; state[me] = SEARCHING }
	:: !LISTED(me) -> await_rouse()
	fi
}

proctype worker(byte me)
{
	byte t, best, mine;
	bool last, again, fast_asleep, timer_armed;

	if
	:: me == 0 ->
		if
#ifdef TWO
		:: armed = 2; arm(1); announce_armed(); arm(2)
		:: armed = 2; arm(2); announce_armed(); arm(1)
#else
		:: armed = 1; arm(1)
		:: armed = 1; arm(2)
#endif
		fi;
		if
		:: goto compute
#ifndef CALM
		:: announce_armed()
		:: true
#endif
		fi
	:: else
	fi;
find:
	if
	:: OVER -> goto out
	:: else
	fi;
	if
	:: due -> serve()
	:: else
	fi;
	run_timers();
	if
	:: t -> goto found
	:: else
	fi;
	if
	:: state[me] != SEARCHING -> atomic { OWN_STORES_OUT -> searchers++; state[me] = SEARCHING }
	:: true
	fi;
	if
	:: state[me] == SEARCHING ->
		run_timers();
		if
		:: t -> goto found
		:: !t && other < OTHERS -> other++; t = 2; goto found
		:: !t
		fi
	:: else
	fi;
	atomic {
		OWN_STORES_OUT && !locked ->
		searchers = searchers - (state[me] == SEARCHING);
		state[me] = LOOKING_LAST;
#ifndef BROKEN_SLEEPER_SILENT
		post_left = post_left || due;
#endif
		due = false
#ifdef BROKEN_ARMED_SILENT
		; timer_armed = false
#endif
	}
	heavy_fence(me);
	/* What the worker has found in its last look. */
	if
	:: other < OTHERS -> other++; get_up(); t = 2; goto found
	:: true
	fi;
	/* keep_time() */
	best = cell[EARLIEST];
	atomic {
		!locked ->
		if
		:: LISTED(me) && best > kept -> keeper = me + 1; kept = best; mine = best
		:: else
		fi;
		best = 0;
		fast_asleep = LISTED(me);
		state[me] = (LISTED(me) -> ASLEEP : state[me]);
		timer_armed = timer_armed && !fast_asleep
	}
	if
	:: await_rouse()
	:: PASSED(mine) -> get_up()
	:: OVER -> goto out
	fi;
	atomic { fast_asleep = false; mine = 0 }
	if
	:: t -> goto found
	:: else -> goto find
	fi;
found:
	if
	:: state[me] == SEARCHING -> search_stop()
	:: else
	fi;
	announce_armed();
	if
	:: t == 1 -> t = 0; goto find
	:: else
	fi;
compute:
	announce_armed();
	t = 0;
	do
	:: due -> serve()
	:: OVER -> break
	od;
out:
	skip
}

proctype timekeeper()
{
	byte best;
	bool again;

end:	do
	:: runs && PASSED(until) ->
#ifdef BROKEN_LOOK_FIRST
		heavy_fence(TIMER);
		best = cell[EARLIEST];
		until = 0;
#else
		until = 0;
#ifndef BROKEN_NO_HEAVY
		heavy_fence(TIMER);
#endif
#endif
#ifndef BROKEN_LOOK_FIRST
		best = cell[EARLIEST];
#endif
		if
		:: best <= kept
#ifdef BROKEN_NO_PLAN
		:: best > kept && !PASSED(best)
#else
		:: best > kept && !PASSED(best) ->
			atomic {
				if
				:: best > until -> until = best
				:: else
				fi
			}
#endif
		:: best > kept && PASSED(best) -> call_worker()
		fi;
		best = 0
	od
}

active proctype clock()
{
end:	do
	:: now < 2 -> now++
	od
}

proctype thread()
{
	bool again;

	if
	:: atomic {
		!searchers && LISTED(1) && keeper != 2 -> take_sleeper(1);
		state[1] = ROUSED_WITH_TASK
	}
	:: wake_one(true)
	:: atomic { !searchers && LISTED(1) && keeper == 2 -> locked = true };
#ifdef BROKEN_POST_FIRST
		post_left = true;
		kept = 0;
#else
		kept = 0;
		post_left = true;
#endif
		atomic {
			keeper = 0;
			searchers++;
			state[1] = ROUSED_TO_SEARCH;
			locked = false
		}
	:: true
	fi
}

init {
	atomic {
		run worker(0);
		run worker(1);
#ifndef CALM
		run thread();
#endif
		run timekeeper()
	}
}
