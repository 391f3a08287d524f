/* SPDX-License-Identifier: MIT */
/*
 * Scopes. The deadline of a scope reaches each task that waits or looks in the scope, whether the
 * deadline is armed or not. The caller that cancels at the deadline touches nothing that has ended.
 *
 * Mirrors:
 *  - sched/core/scope.c: weft_scope_end(), forget_deadline(), weft__scope_is_late(),
 *    weft__scope_keep(), take_late(), weft__scopes_expire_of(), weft__scopes_expire();
 *  - sched/core/cancel.c: cancel(), weft__scope_time_out(), weft_cancelled();
 *  - sched/core/family.c: weft__family_enter(), weft__family_cancelled(), weft__family_leave().
 *
 * Invariants:
 *  - The fork and the task end, since the deadline passes. If they do not, this is a deadlock.
 *  - The scope exists while anybody looks at it.
 *  - Its deadline is armed once.
 *  - If anybody was cancelled, the scope's end says that the deadline was the reason.
 *
 * Bounds: a root with one scope, and a fork in it. Each of the two waits for something, waits for a
 * cancellation, looks until it is cancelled, or just ends. One actor serves the deadlines. Another
 * looks at them because all workers compute. With CANCELLED somebody also cancels the scope by
 * hand, which may then be the reason as well.
 *
 * Locked instructions change the words. A wait that begins sees a request, or the canceller sees
 * the wait: family.pml shows that. Here both are one step.
 *
 * Broken:
 *  - NO_ARM: a caller that enters does not arm the deadline.
 *  - NO_CLOCK: weft_cancelled() does not look at the clock.
 *  - ARM_ONLY: the mark stays when the deadline is armed.
 *  - NO_DISARM: the scope ends without taking its deadline out.
 *  - NO_AWAIT: the scope does not wait for the actor that has taken its deadline out.
 *  - FIRING_LATE: that actor says so only after it has released the tree's lock.
 *  - UNFIRE_EARLY: that actor says that it is done before it is.
 *  - KEEP_UNLOCKED: the deadline is armed without the family's lock.
 *  - NO_REASON: a caller that enters late does not say why.
 */
bool passed;             /* the clock: the deadline has passed */
bool family, tree;       /* the locks */
bool timed = true;       /* CANCEL_TIMED */
bool armed, queued;      /* timer.timers, timer.queued */
bool firing, requested, timed_out;
bool alive = true;       /* ghost: the scope, and the fork's frame below it */
bool fork_over;
bool by_hand, hand_made; /* ghost: a call that cancels by hand is running; it was the first */
bool ending;             /* ghost: no such call begins any longer */

/* Index: the fork, and the scope's own waits. The arrays say: in the list; its request; waits; was
 * woken. */
#define FORK 0
#define TASK 1
bool listed[2], told[2], waits[2], woken[2];
bool cut[2];             /* ghost: it has learned of a cancellation */

inline lock(which)
{
	atomic { !which -> which = true }
}

/* weft__scope_keep(). */
inline keep()
{
	if
	:: timed && passed ->
#ifndef BROKEN_NO_REASON
		timed_out = !requested;
#endif
		requested = true;
		timed = false
	:: timed && !passed ->
#ifndef BROKEN_NO_ARM
		lock(tree);
		atomic { assert(!queued); queued = true; armed = true };
		tree = false;
#endif
#ifndef BROKEN_ARM_ONLY
		timed = false
#endif
	:: else
	fi
}

/* weft__family_enter(). */
inline enter(me)
{
#ifdef BROKEN_KEEP_UNLOCKED
	keep();
	lock(family);
#else
	lock(family);
	keep();
#endif
	listed[me] = true;
	told[me] = told[me] || requested;
	family = false
}

/* A wait that only a canceller ends. brief: somebody else may end it, too. */
inline wait_once(me, brief)
{
	waits[me] = true;
	if
	:: !listed[me] -> enter(me)
	:: else
	fi;
	if
	:: atomic { told[me] && waits[me] -> waits[me] = false }
	:: atomic { woken[me] -> woken[me] = false }
	:: atomic { brief && waits[me] -> waits[me] = false; by_other = true }
	fi;
	/* cancel_hide() */
	!family;
	cut[me] = cut[me] || !by_other;
	by_other = false
}

/* weft_cancelled(), repeated until it is true. */
inline poll(me)
{
	do
	:: told[me] || (!listed[me] && requested) -> break
#ifndef BROKEN_NO_CLOCK
	:: !listed[me] && timed && passed && !requested -> enter(me)
#endif
	:: passed && queued && !told[me] && (listed[me] || !requested) -> expire()
	od;
	!family;
	cut[me] = true
}

inline tell(me, claimed)
{
	if
	:: listed[me] ->
		told[me] = true;
		atomic {
			if
			:: waits[me] -> waits[me] = false; claimed = true
			:: else
			fi
		}
	:: else
	fi
}

/* cancel() */
inline cancel(late)
{
	lock(family);
	assert(alive);
	if
	:: !requested ->
		if
		:: late -> timed_out = true
		:: else
		fi;
		d_step { requested = true; hand_made = !late };
		tell(FORK, claimed_fork);
		tell(TASK, claimed_task)
	:: else
	fi;
	assert(alive);
	family = false
}

/* weft__wake_cancelled(). The frames live until then. */
inline wake()
{
	if
	:: claimed_fork -> atomic { assert(alive); woken[FORK] = true }
	:: else
	fi;
	if
	:: claimed_task -> atomic { assert(alive); woken[TASK] = true }
	:: else
	fi;
	d_step { claimed_fork = false; claimed_task = false }
}

/* weft__scopes_expire_of() */
inline expire()
{
	lock(tree);
	got = queued && passed;
	if
	:: got ->
		queued = false;
#ifndef BROKEN_FIRING_LATE
		firing = true
#endif
	:: else
	fi;
	tree = false;
	if
	:: got ->
		assert(alive);
#ifdef BROKEN_FIRING_LATE
		firing = true;
#endif
#ifdef BROKEN_UNFIRE_EARLY
		firing = false;
#endif
		cancel(true);
		atomic { assert(alive || !firing); firing = false };
		wake()
	:: else
	fi;
	got = false
}

active proctype clock()
{
	passed = true
}

active proctype server()
{
	bool got, claimed_fork, claimed_task, by_other;

end:
	do
	:: passed && queued -> expire()
	od
}

#ifdef CANCELLED
active proctype hand()
{
	bool claimed_fork, claimed_task;

	if
	:: atomic { !ending -> by_hand = true };
		cancel(false);
		by_hand = false;
		wake()
	:: ending
	fi
}
#endif

active proctype forked()
{
	bool got, claimed_fork, claimed_task, by_other;

	if
	:: true -> wait_once(FORK, true)
	:: true
	fi;
	if
	:: true -> wait_once(FORK, false)
	:: true -> poll(FORK)
	:: true
	fi;
	if
	:: listed[FORK] ->
		lock(family);
		listed[FORK] = false;
		family = false
	:: else
	fi;
	fork_over = true
}

active proctype task()
{
	bool got, claimed_fork, claimed_task, by_other, cut_off;

	if
	:: true -> wait_once(TASK, true)
	:: true -> wait_once(TASK, false)
	:: true -> poll(TASK)
	:: true
	fi;
	fork_over; /* the fork is joined in the scope */
	/* weft_scope_end() */
#ifdef CANCELLED
	/* The program makes sure that no such call is running, unless the task has learned of
	 * one. */
	atomic { !by_hand || (hand_made && (cut[FORK] || cut[TASK])) -> ending = true };
#endif
	cut_off = requested;
	!family;
	if
	:: armed ->
#ifndef BROKEN_NO_DISARM
		lock(tree);
		queued = false;
		tree = false;
#endif
#ifndef BROKEN_NO_AWAIT
		!firing
#endif
	:: else
	fi;
	if
	:: listed[TASK] ->
		lock(family);
		listed[TASK] = false;
		family = false
	:: else
	fi;
#ifndef CANCELLED
	assert(!(cut[FORK] || cut[TASK]) || (cut_off && timed_out));
#else
	assert(!(cut[FORK] || cut[TASK]) || cut_off);
#endif
	alive = false
}
