/* SPDX-License-Identifier: MIT */
/*
 * The wait node: one claim among wake, timeout and cancel; the switch; and that nobody looks at a
 * dead frame.
 *
 * Mirrors: sched/core/wait.h weft__wait_begin(), weft__wait_take(), wait_claim_contended(), weft__parked();
 * sched/core/wait.c weft__wait_claim_cancelled(), weft__wait_wake(), weft__wait(),
 * weft__wait_running(), wait_task(), arm(), wait_thread(), await_signal(), cancel_watch(), cancel_itself(),
 * cancel_unwatch(), suspend_until_woken(), weft__expire(), await_parked(); sched/core/execute.c
 * settle(), park_leaving(); sched/core/early.c weft__early_leave(), weft__early_parked(), collect();
 * sched/core/cancel.c weft_cancel(), request(), claim(); sched/core/timer.c weft__timer_arm(),
 * weft__timer_disarm(); sched/sync/queue.h sync_wait_unlock(), sync_take_locked(), sync_leave().
 *
 * Invariants: the waiter is looked at only while its frame lives, and claimed once; a task is made
 * runnable once for each suspension, and is resumed only after its context was saved; each wait
 * ends by wake, deadline or cancel if one of these comes, also if it comes before the switch (else
 * a deadlock).
 *
 * Bounds: one waiter that waits ROUNDS times, with the same task; each time with or without
 * deadline and cancellation, and lone or not where it may be lone. `sure` is the one source that is
 * certain to come; the others may. With THREAD the waiter is a plain thread: no switch, a futex, and never
 * lone; cancelled is the scope that it is in.
 *
 * The task's stores of `waiting` go through its thread's store buffer, and so does the store of
 * PARKED after the switch, the round's number here: the task may go on elsewhere. So does the
 * waker's store of `given`, the round's number where the code has a flag in each frame. A waker that
 * does not find PARKED leaves the wake in the list at any moment; only one task is ever in it. The rest is acquire and
 * release, or under a lock, and sequentially consistent here. A lock's section is one step where it
 * has one access, else the lock is a variable. `sched_yield` loops are waits. A futex wait blocks
 * while the word is unchanged, as each change is followed by a wake.
 *
 * Broken: PUBLISH_EARLY: a waker does not wait for PARKED. PARK_EARLY: it is stored before the
 * switch. CLAIM_LATE: the claim comes after the unlock. NO_UNLINK, NO_DISARM, NO_UNWATCH: the node
 * stays in the queue, the heap, the task. UNWATCH_NO_WAIT: the frame ends under a busy canceller.
 * NO_RECHECK: the task does not look for a request after it has become visible to cancellers.
 * WATCH_LATE: it looks before. NO_HEAVY: the canceller's fence is light. BUSY_EARLY: it gives its
 * lock back before it claims. TWO_CLAIMS: a claim is a load and a store. WAKE_ANYWAY: a claimer
 * that has lost wakes all the same. SIGNAL_LATE (THREAD): a waker touches the frame after it has
 * signalled. GIVEN_LATE: the waker of a lone waiter looks for a request before it stores `given`.
 * NO_LOOK: it does not look. NO_GIVEN: cancellers do not look at `given`. SELF_NO_HEAVY: the task
 * that finds itself cancelled does so without a fence. LONE_TIMED: a waiter with a deadline is
 * taken for a lone one. EARLY_NO_HEAVY: the waker that leaves a wake in the list fences lightly.
 * EARLY_LOOK_FIRST: who parks a task looks at the list before it stores PARKED. EARLY_NO_LOOK: it
 * does not look. EARLY_NO_RECHECK: the waker does not look for PARKED once more. EARLY_TWICE: to
 * find a task in the list and to take it out are two steps.
 */
#ifndef ROUNDS
#define ROUNDS 2
#endif

#define TASK    0
#define WAKER   1
#define STORERS 2
#define FENCERS 4 /* the task, and those who wake */
#define DEPTH   2
#define CELLS   3
#define WAITING 0 /* the waiter that cancellers see: the number of the round, 0: none */
#define GIVEN   1 /* the last lone waiter that the waker wants */
#define PARKED  2 /* the last round in which park was PARKED */

#include "tso.h"

mtype = { PENDING, WOKEN, TIMEDOUT, CANCELLED };             /* outcome */
mtype = { WAKE, DEADLINE, CANCEL };                          /* sure */

mtype outcome = PENDING;
mtype sure;
bool lone; /* the waiter's, immutable in a round */
bool signalled;
byte queued, armed;         /* in the primitive's queue, in the heap: the round's number */
bool queue_lock, heap_lock;
bool requested, busy;       /* struct task.cancel */
byte alive;                 /* ghost: the round whose frame lives */
bool left, saved, runnable; /* on the way out; ghost: the context is saved; in some queue */
bool early;                 /* the list of early wakes, and its count: it holds the task */
bool over;

inline lock(l)
{
	atomic { !l -> l = true }
}

/* round: whose waiter the claimer holds. */
inline claim(round, as)
{
#ifdef BROKEN_TWO_CLAIMS
	atomic { assert(alive == round); claimed = (outcome == PENDING) };
	if
	:: claimed -> outcome = as
	:: else
	fi
#else
	d_step {
		assert(alive == round);
		claimed = (outcome == PENDING);
		outcome = (claimed -> as : outcome)
	}
#endif
}

/* weft__wait_take(): by the waker. */
inline take(round)
{
	atomic {
		assert(alive == round);
		assert(outcome == PENDING);
		outcome = WOKEN;
		claimed = true
	}
}

inline claim_to_wake(round)
{
	if
	:: !lone -> claim(round, WOKEN)
	:: lone ->
#ifdef BROKEN_GIVEN_LATE
		asked = requested;
		STORE(WAKER, GIVEN, round);
#else
		STORE(WAKER, GIVEN, round);
		LIGHT_FENCE;
#ifndef BROKEN_NO_LOOK
		asked = requested;
#endif
#endif
		if
		:: asked -> claim(round, WOKEN)
		:: else -> take(round)
		fi;
		asked = false
	fi
}

/* weft__wait_claim_cancelled(), after the fence. */
inline claim_cancelled(round)
{
	if
#ifndef BROKEN_NO_GIVEN
	:: lone && cell[GIVEN] == round -> assert(alive == round)
#endif
	:: else -> claim(round, CANCELLED)
	fi
}

inline make_runnable()
{
	atomic { assert(!runnable); runnable = true }
}

/* collect(). The task is in the round `alive` if it is in the list. */
inline collect()
{
#ifdef BROKEN_EARLY_TWICE
	found = early && cell[PARKED] == alive;
	early = early && !found;
#else
	atomic { found = early && cell[PARKED] == alive; early = early && !found };
#endif
	if
	:: found -> found = false; make_runnable()
	:: else
	fi
}

/* weft__early_leave(). */
inline leave_early(fencer)
{
	atomic { assert(!early); early = true };
#ifndef BROKEN_EARLY_NO_HEAVY
	heavy_fence(fencer);
#endif
#ifndef BROKEN_EARLY_NO_RECHECK
	collect()
#endif
}

inline wake(round, fencer)
{
	if
#ifdef BROKEN_WAKE_ANYWAY
	:: true ->
#else
	:: claimed ->
#endif
#ifdef THREAD
		atomic { assert(alive == round); signalled = true };
#ifdef BROKEN_SIGNAL_LATE
		assert(alive == round);
#endif
#else
#ifdef BROKEN_PUBLISH_EARLY
		make_runnable();
#else
		if
		:: cell[PARKED] == round -> make_runnable()
		:: cell[PARKED] != round -> leave_early(fencer)
		fi;
#endif
#endif
		claimed = false
	:: else
	fi
}

/* What runs next on the thread that the task leaves: settle(). The thread's buffer is the
 * task's. */
active proctype next()
{
	byte round;
	bool found;

end:	do
	:: left ->
		d_step { left = false; saved = true; round = alive };
#ifdef BROKEN_EARLY_LOOK_FIRST
		found = early;
		STORE(TASK, PARKED, round);
#else
		STORE(TASK, PARKED, round);
		LIGHT_FENCE;
		found = early;
#endif
#ifndef BROKEN_EARLY_NO_LOOK
		if
		:: found -> atomic { DRAINED(TASK) -> found = false }; collect() /* the lock drains */
		:: else
		fi;
#endif
		round = 0
	od
}

#ifdef BROKEN_LONE_TIMED
#define MAY_TIME true
#else
#define MAY_TIME (!lone)
#endif

/* must_end(), of a wait that is cancellable. */
inline watch()
{
	if
	:: true -> watched = true
	:: sure != CANCEL
	fi;
	if
	:: watched ->
#ifdef BROKEN_WATCH_LATE
		alone = requested;
		STORE(TASK, WAITING, round);
#else
		STORE(TASK, WAITING, round);
		LIGHT_FENCE;
#ifndef BROKEN_NO_RECHECK
		alone = requested;
#endif
#endif
		if
		:: alone ->
#ifndef BROKEN_SELF_NO_HEAVY
			if
			:: lone -> heavy_fence(0)
			:: else
			fi;
#endif
			claim_cancelled(round);
			alone = claimed;
			claimed = false
		:: else
		fi
	:: else
	fi
}

/* cancel_unwatch() */
inline unwatch()
{
	if
	:: watched ->
#ifndef BROKEN_NO_UNWATCH
		STORE(TASK, WAITING, 0);
#endif
		LIGHT_FENCE;
#ifndef BROKEN_UNWATCH_NO_WAIT
		!busy;
#endif
		watched = false
	:: else
	fi
}

inline wait_task()
{
	watch();
	if
	:: MAY_TIME && !alone -> claim(round, TIMEDOUT); alone = claimed; claimed = false /* it has passed */
	:: MAY_TIME && !alone -> timed = true; atomic { !heap_lock -> armed = round }
	:: alone || sure != DEADLINE
	fi;
	if
	:: alone
	:: else ->
#ifdef BROKEN_PARK_EARLY
		STORE(TASK, PARKED, round);
#endif
		left = true;
		atomic { runnable -> assert(saved); runnable = false; saved = false }
	fi;
	if
	:: timed ->
#ifndef BROKEN_NO_DISARM
		atomic { !heap_lock -> armed = 0 };
#endif
		timed = false
	:: else
	fi;
	unwatch();
	alone = false
}

inline wait_thread()
{
	if
	:: sure != DEADLINE -> timed = true /* there is none */
	:: MAY_TIME
	fi;
	watch();
	do
	:: signalled || alone -> break
	:: !timed && !alone ->
		claim(round, TIMEDOUT);
		if
		:: claimed -> claimed = false; break
		:: else -> timed = true
		fi
	od;
	unwatch();
	alone = false;
	timed = false
}

active proctype waiter()
{
	byte round;
	bool watched, timed, alone, claimed;

	if
	:: sure = WAKE
	:: sure = DEADLINE
	:: sure = CANCEL
	fi;
	do
	:: round < ROUNDS ->
		atomic {
			round++;
			alive = round;
			outcome = PENDING;
			signalled = false;
			lone = false
		};
		if
#ifndef THREAD
		:: sure != DEADLINE && !requested -> lone = true
#endif
		:: true
		fi;
		/* Its thread's locked instruction. */
		atomic { DRAINED(TASK) && !queue_lock -> queued = round };
#ifdef THREAD
		wait_thread();
#else
		wait_task();
#endif
#ifndef BROKEN_NO_UNLINK
		if
		:: outcome != WOKEN -> atomic { DRAINED(TASK) && !queue_lock -> queued = 0 }
		:: else
		fi;
#endif
		assert(outcome != PENDING);
		alive = 0
	:: round == ROUNDS -> break
	od;
	over = true
}

active proctype waker()
{
	byte round;
	bool claimed, asked, found;

end:	do
	:: queued ->
		lock(queue_lock);
		atomic { round = queued; queued = 0 };
		if
		:: round ->
#ifdef BROKEN_CLAIM_LATE
			queue_lock = false;
			claim_to_wake(round);
#else
			claim_to_wake(round);
			queue_lock = false;
#endif
			wake(round, 2)
		:: else -> queue_lock = false
		fi;
		d_step { round = 0; claimed = false }
	:: over -> break
	:: sure && sure != WAKE -> break
	od
}

#ifndef THREAD
active proctype expirer()
{
	byte round;
	bool claimed, found;

end:	do
	:: armed ->
		lock(heap_lock);
		atomic { round = armed; armed = 0 };
		if
		:: round -> claim(round, TIMEDOUT)
		:: else
		fi;
		heap_lock = false;
		wake(round, 3);
		d_step { round = 0; claimed = false }
	:: over -> break
	:: sure && sure != DEADLINE -> break
	od
}
#endif

active proctype canceller()
{
	byte round;
	bool claimed, found;

	if
	:: sure ->
		atomic { requested = true; busy = true };
#ifndef BROKEN_NO_HEAVY
		heavy_fence(1);
#endif
		round = cell[WAITING];
#ifdef BROKEN_BUSY_EARLY
		busy = false;
#endif
		if
		:: round -> claim_cancelled(round)
		:: else
		fi;
		busy = false;
		wake(round, 1)
	:: sure && sure != CANCEL
	fi
}
