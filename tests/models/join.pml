/* SPDX-License-Identifier: MIT */
/*
 * The join word: a queue of one with its own lock in it, between a task's end and its joiner.
 *
 * Mirrors: sched/core/join.c weft_join_until(), wait_for_end(), await_done(), weft_detach();
 * sched/core/execute.c end_task(); of sched/core/wait.h weft__wait_claim(), of wait.c
 * weft__wait_wake().
 *
 * Invariants: the joiner gets the published result; the memory is freed once, and nobody touches it
 * afterwards; the end looks at the waiter only while its frame lives; a joiner is not left waiting
 * (a deadlock).
 *
 * Bounds: one task; its joiner joins up to three times, where all but the last may time out or be
 * cancelled at any moment, or gives up and detaches it. The waiter's wait itself is in wait.pml:
 * here it is a claim, a wake, and a source of timeouts.
 *
 * All is acquire and release, with no store-load race: sequentially consistent here. Loops with
 * sched_yield are waits; the compare-and-swap of the weak kind repeats only when the word has
 * changed.
 *
 * Broken: DONE_EARLY: the end stores DONE before it claims. NO_BUSY: it claims while the waiter is
 * in the word. NO_AWAIT: a joiner that gives up does not wait for who is busy with it.
 * GIVE_UP_STORES: it stores NOBODY. END_STORES: the end stores DONE where it has read NOBODY.
 * RESULT_LATE: the result after the word. TOUCH_LATE: the end looks at the task after DONE.
 */
#define NOBODY   0
#define DONE     1
#define DETACHED 2
#define BUSY     3
#define WAITER   4 /* plus the number of the attempt: its frame */

#ifndef ATTEMPTS
#define ATTEMPTS 3
#endif

mtype = { PENDING, WOKEN, GAVE_UP };

byte join = NOBODY;
mtype outcome = PENDING;
bool woken;
byte alive;       /* ghost: the attempt whose frame lives */
bool value;       /* the result */
bool freed;       /* ghost */

active proctype task_end()
{
	byte seen, next;
	bool claimed;

#ifndef BROKEN_RESULT_LATE
	value = true;
#endif
	atomic { assert(!freed); seen = join };
	do
	:: seen == DETACHED ->
		atomic { assert(!freed); freed = true };
		goto out
	:: else ->
#ifdef BROKEN_NO_BUSY
		next = (seen == NOBODY -> DONE : seen);
#else
		next = (seen == NOBODY -> DONE : BUSY);
#endif
#ifdef BROKEN_END_STORES
		atomic { assert(!freed); join = next; break }
#else
		atomic {
			assert(!freed);
			if
			:: join == seen -> join = next; break
			:: else -> seen = join
			fi
		}
#endif
	od;
#ifdef BROKEN_RESULT_LATE
	value = true;
#endif
	if
	:: seen == NOBODY
	:: else ->
#ifdef BROKEN_DONE_EARLY
		atomic { assert(!freed); join = DONE };
#endif
		atomic {
			assert(alive == seen - WAITER);
			claimed = (outcome == PENDING);
			outcome = (claimed -> WOKEN : outcome)
		};
#ifndef BROKEN_DONE_EARLY
		atomic { assert(!freed); join = DONE };
#endif
#ifdef BROKEN_TOUCH_LATE
		assert(!freed);
#endif
		if
		:: claimed -> woken = true
		:: else
		fi
	fi;
out:	skip
}

/* A deadline or a cancel, under its own lock: the frame does not end meanwhile (wait.pml). */
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
		:: join == DONE -> break
		:: join != DONE
		fi;
		atomic { alive = attempt; outcome = PENDING; woken = false };
		if
		:: atomic { join == NOBODY -> join = WAITER + attempt }
		:: atomic { join != NOBODY -> assert(join == DONE); alive = 0; break }
		fi;
		woken;
		if
		:: outcome == WOKEN -> join == DONE; alive = 0; break
		:: outcome == GAVE_UP ->
			if
#ifdef BROKEN_GIVE_UP_STORES
			:: true -> join = NOBODY
#else
			:: atomic { join == WAITER + attempt -> join = NOBODY }
#endif
#ifdef BROKEN_NO_AWAIT
			:: join != WAITER + attempt
#else
			:: join != WAITER + attempt ->
				assert(join == BUSY || join == DONE);
				join == DONE;
				alive = 0;
				break
#endif
			fi
		fi;
		alive = 0;
		if
		:: true
		:: attempt < ATTEMPTS -> /* weft_detach() */
			if
			:: atomic { join == NOBODY -> join = DETACHED; goto out }
			:: atomic { join != NOBODY -> assert(join == DONE) };
				atomic { assert(!freed); freed = true };
				goto out
			fi
		fi
	od;
	assert(value);
	atomic { assert(!freed); freed = true };
out:	freed
}

init {
	atomic { run joiner(); run interrupter() }
}
