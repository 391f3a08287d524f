/* SPDX-License-Identifier: MIT */
/*
 * The wait node: one claim among wake, timeout and cancellation; the switch; and the rule that
 * nobody looks at a dead frame.
 *
 * Mirrors:
 *  - sched/core/wait.h: weft__wait_begin(), weft__wait_take(), wait_claim_contended(),
 *    weft__parked();
 *  - sched/core/wait.c: weft__wait_claim_cancelled(), weft__wait_wake(), weft__wait(),
 *    weft__wait_running(), wait_task(), arm(), wait_thread(), await_signal(), cancel_show(),
 *    cancel_itself(), cancel_hide(), suspend_until_woken(), weft__expire(), await_parked();
 *  - sched/core/execute.c: settle(), park_outgoing();
 *  - sched/core/early.c: weft__early_put(), weft__early_parked(), collect();
 *  - sched/core/cancel.c: weft_cancel(), request(), claim();
 *  - sched/core/timer.c: weft__timer_arm(), weft__timer_disarm();
 *  - sched/sync/queue.h: sync_wait_unlock(), sync_take_locked(), sync_leave().
 *
 * Invariants:
 *  - The waiter is looked at only while its frame lives, and is claimed once.
 *  - A task is made runnable once for each suspension. It is resumed only after its context was
 *    saved.
 *  - Each wait ends by a wake, a deadline or a cancellation if one of these comes, even if it comes
 *    before the switch. If it does not end, this is a deadlock.
 *
 * Bounds: one waiter, the same task, waits ROUNDS times. Each wait is with or without a deadline
 * and a cancellation. It is lone or not where it may be lone. `sure` is the one source that is
 * certain to come; the others may come. With THREAD the waiter is a plain thread: it does not
 * switch, it has a futex, it is never lone, and a cancellation is that of the scope it is in.
 *
 * Store buffers. The task's stores of `waiting` go through its thread's store buffer. The store of
 * PARKED after the switch goes through it, too, since the task may go on elsewhere. It stores the
 * number of the round. The waker's store of `wanted` goes through the waker's store buffer. It also
 * stores the number of the round, where the code has a flag in each frame.
 *
 * A waker that does not find PARKED leaves the wake in the list at any moment. Only one task is
 * ever in that list. All else is acquire and release, or under a lock, and sequentially consistent
 * here. A section under a lock is one step if it has one access. Otherwise the lock is a variable.
 * `sched_yield` loops are waits. A futex wait blocks while the word is unchanged, because a wake
 * follows each change.
 *
 * Broken:
 *  - PUBLISH_EARLY: a waker does not wait for PARKED.
 *  - PARK_EARLY: PARKED is stored before the switch.
 *  - CLAIM_LATE: the claim comes after the unlock.
 *  - NO_UNLINK: the node stays in the queue.
 *  - NO_DISARM: the node stays in the heap.
 *  - NO_UNWATCH: the node stays in the task.
 *  - UNWATCH_NO_WAIT: the frame ends while a canceller is busy with it.
 *  - NO_RECHECK: the task does not look for a request after it has become visible to cancellers.
 *  - WATCH_LATE: the task looks for a request before it is visible.
 *  - NO_HEAVY: the canceller's fence is light.
 *  - BUSY_EARLY: the canceller releases its lock before it claims.
 *  - TWO_CLAIMS: a claim is a load and a store.
 *  - WAKE_ANYWAY: a claimer that has lost wakes all the same.
 *  - SIGNAL_LATE (THREAD): a waker touches the frame after it has signalled.
 *  - WANTED_LATE: the waker of a lone waiter looks for a request before it stores `wanted`.
 *  - NO_LOOK: the waker of a lone waiter does not look for a request.
 *  - NO_WANTED: cancellers do not look at `wanted`.
 *  - SELF_NO_HEAVY: a task that finds itself cancelled has no fence.
 *  - LONE_TIMED: a waiter with a deadline is taken to be lone.
 *  - EARLY_NO_HEAVY: a waker that leaves a wake in the list has only a light fence.
 *  - EARLY_LOOK_FIRST: whoever parks a task looks at the list before it stores PARKED.
 *  - EARLY_NO_LOOK: whoever parks a task does not look at the list.
 *  - EARLY_NO_RECHECK: the waker does not look for PARKED once more.
 *  - EARLY_TWICE: finding a task in the list and taking it out are two steps.
 */
#ifndef ROUNDS
#define ROUNDS 2
#endif

#define TASK    0
#define WAKER   1
#define STORERS 2
#define FENCERS 4 /* the task, and those that wake */
#define DEPTH   2
#define CELLS   3
#define WAITING 0 /* the waiter that cancellers see: the number of the round, or 0 for none */
#define WANTED   1 /* the last lone waiter that the waker wants */
#define PARKED  2 /* the last round in which park was PARKED */

#include "tso.h"

mtype = { PENDING, WOKEN, TIMEDOUT, CANCELLED };             /* outcome */
mtype = { WAKE, DEADLINE, CANCEL };                          /* sure */

mtype outcome = PENDING;
mtype sure;
bool lone; /* whether the waiter is lone; immutable in a round */
bool signalled;
byte queued, armed;         /* in the primitive's queue; in the heap: the number of the round */
bool queue_lock, heap_lock;
bool requested, busy;       /* struct task.cancel */
byte alive;                 /* ghost: the round whose frame lives */
bool left, saved, runnable; /* on the way out; ghosts: the context is saved; in some queue */
bool early;                 /* the list of early wakes, and its count: it holds the task */
bool over;

inline lock(l)
{
	atomic { !l -> l = true }
}

/* round: the round of the waiter that the claimer holds. */
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

/* weft__wait_take(), called by the waker. */
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
#ifdef BROKEN_WANTED_LATE
		asked = requested;
		STORE(WAKER, WANTED, round);
#else
		STORE(WAKER, WANTED, round);
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
#ifndef BROKEN_NO_WANTED
	:: lone && cell[WANTED] == round -> assert(alive == round)
#endif
	:: else -> claim(round, CANCELLED)
	fi
}

inline make_runnable()
{
	atomic { assert(!runnable); runnable = true }
}

/* collect(). If the task is in the list, it is in the round `alive`. */
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

/* weft__early_put(). */
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

/* The code that runs next on the thread that the task leaves: settle(). The thread's buffer is the
 * task's buffer. */
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

/* must_end(), for a cancellable wait. */
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

/* cancel_hide() */
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
	/* the deadline has passed */
	:: MAY_TIME && !alone -> claim(round, TIMEDOUT); alone = claimed; claimed = false
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
	:: sure != DEADLINE -> timed = true /* there is no deadline */
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
		/* A locked instruction of the task's thread. */
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
