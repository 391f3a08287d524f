/* SPDX-License-Identifier: MIT */
/*
 * The join word: a queue of one between a task's end and its joiner.
 *
 * Mirrors:
 *  - sched/core/join.c: weft_join(), run_child(), weft_join_until(), wait_for_end(), give_up(),
 *    await_done(), weft_detach();
 *  - sched/core/execute.c: end_task();
 *  - parts of sched/core/wait.h: weft__wait_claim();
 *  - parts of sched/core/wait.c: weft__wait_wake_next().
 *
 * Invariants:
 *  - The joiner gets the published result.
 *  - The memory is freed once, and nobody touches it afterwards.
 *  - The end looks at the waiter only while its frame lives.
 *  - A joiner does not wait for ever (a deadlock).
 *
 * Bounds: one task. Its joiner joins up to three times, and the first time may come before the task
 * starts. All attempts but the last may time out or be cancelled at any moment, or the joiner gives
 * up and detaches the task. wait.pml has the wait itself. Here a wait is a claim, a wake and a
 * source of timeouts.
 *
 * The stores of the end go through a store buffer, also the store of DONE. The joiner changes the
 * word by locked instructions. Loops with sched_yield are waits. A weak compare-and-swap repeats
 * only when the word has changed.
 *
 * Broken:
 *  - NO_HEAVY: a joiner that gives up has no fence.
 *  - LOOK_FIRST: the end looks for a joiner before it says that it ends.
 *  - NO_AWAIT: a joiner that gives up does not look whether the task ends.
 *  - DONE_EARLY: the end stores DONE before it claims.
 *  - GIVE_UP_STORES: a joiner that gives up stores NOBODY.
 *  - END_STORES: the end stores DONE after it has read NOBODY.
 *  - JOIN_STORES: the joiner of a task that has started stores its waiter.
 *  - RESULT_LATE: the result is stored after the word.
 *  - TOUCH_LATE: the end looks at the task after DONE.
 */
#define NOBODY   0
#define DONE     1
#define DETACHED 2
#define WAITER   4 /* plus the number of the attempt, which stands for its frame */

#ifndef ATTEMPTS
#define ATTEMPTS 3
#endif

#define END     0
#define STORERS 1
#define FENCERS 1
#define DEPTH   3
#define CELLS   3
#define JOIN    0
#define ENDING  1
#define VALUE   2 /* the result */

#include "tso.h"

mtype = { PENDING, WOKEN, GAVE_UP };

mtype outcome = PENDING;
bool started;
bool woken;
byte alive; /* ghost: the attempt whose frame lives */
bool freed; /* ghost */

active proctype task_end()
{
	byte seen;
	bool claimed;

	started;
#ifndef BROKEN_RESULT_LATE
	STORE(END, VALUE, 1);
#endif
#ifdef BROKEN_LOOK_FIRST
	seen = cell[JOIN];
	STORE(END, ENDING, 1);
#else
	STORE(END, ENDING, 1);
	LIGHT_FENCE;
	atomic { assert(!freed); seen = cell[JOIN] };
#endif
	do
	:: seen == NOBODY ->
#ifdef BROKEN_END_STORES
		atomic { assert(!freed); STORE(END, JOIN, DONE); goto ended }
#else
		atomic {
			DRAINED(END) ->
			assert(!freed);
			if
			:: cell[JOIN] == NOBODY -> cell[JOIN] = DONE; goto ended
			:: else -> seen = cell[JOIN]
			fi
		}
#endif
	:: seen == DETACHED ->
		atomic { DRAINED(END) -> assert(!freed); freed = true };
		goto out
	:: else -> break
	od;
#ifdef BROKEN_DONE_EARLY
	STORE(END, JOIN, DONE);
#endif
	atomic {
		assert(alive == seen - WAITER);
		claimed = (outcome == PENDING);
		outcome = (claimed -> WOKEN : outcome)
	};
#ifndef BROKEN_DONE_EARLY
	atomic { assert(!freed); STORE(END, JOIN, DONE) };
#endif
#ifdef BROKEN_TOUCH_LATE
	assert(!freed);
#endif
	if
	:: claimed -> atomic { DRAINED(END) -> woken = true }
	:: else
	fi;
ended:
#ifdef BROKEN_RESULT_LATE
	STORE(END, VALUE, 1);
#endif
out:	skip
}

/* A deadline or a cancellation, under its own lock. The frame does not end meanwhile (wait.pml). */
proctype interrupter()
{
	byte left = ATTEMPTS - 1;

end:	do
	:: atomic {
		left > 0 && alive && alive < ATTEMPTS && outcome == PENDING ->
		outcome = GAVE_UP;
		left--
	}
		woken = true
	:: freed -> break
	od
}

proctype joiner()
{
	byte attempt;

	do
	:: attempt < ATTEMPTS ->
		attempt++;
		assert(!freed);
		if
		:: cell[JOIN] == DONE -> break
		:: cell[JOIN] != DONE
		fi;
		atomic { alive = attempt; outcome = PENDING; woken = false };
		if
		:: !started -> /* run_child() */
			cell[JOIN] = WAITER + attempt;
			started = true
		:: true ->
			started = true;
#ifdef BROKEN_JOIN_STORES
			cell[JOIN] = WAITER + attempt
#else
			if
			:: atomic { cell[JOIN] == NOBODY -> cell[JOIN] = WAITER + attempt }
			:: atomic {
				cell[JOIN] != NOBODY ->
				assert(cell[JOIN] == DONE);
				alive = 0;
				goto joined
			}
			fi
#endif
		fi;
		woken;
		if
		:: outcome == WOKEN -> cell[JOIN] == DONE; alive = 0; break
		:: outcome == GAVE_UP -> /* give_up() */
			if
#ifdef BROKEN_GIVE_UP_STORES
			:: true -> cell[JOIN] = NOBODY;
#else
			:: atomic { cell[JOIN] == WAITER + attempt -> cell[JOIN] = NOBODY };
#endif
#ifndef BROKEN_NO_HEAVY
				heavy_fence(0);
#endif
#ifndef BROKEN_NO_AWAIT
				if
				:: cell[ENDING] -> cell[JOIN] == DONE; alive = 0; break
				:: !cell[ENDING]
				fi
#endif
			:: cell[JOIN] != WAITER + attempt ->
				assert(cell[JOIN] == DONE);
				alive = 0;
				break
			fi
		fi;
		alive = 0;
		if
		:: true
		:: attempt < ATTEMPTS -> /* weft_detach() */
			if
			:: atomic { cell[JOIN] == NOBODY -> cell[JOIN] = DETACHED; goto out }
			:: atomic { cell[JOIN] != NOBODY -> assert(cell[JOIN] == DONE) };
				atomic { assert(!freed); freed = true };
				goto out
			fi
		fi
	od;
joined:	assert(cell[VALUE]);
	atomic { assert(!freed); freed = true };
out:	freed
}

init {
	atomic { run joiner(); run interrupter() }
}
