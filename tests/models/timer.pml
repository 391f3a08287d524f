/* SPDX-License-Identifier: MIT */
/*
 * A timer. Two selects wait for it while a setter resets and stops it and time passes.
 *
 * Mirrors:
 *  - sched/sync/timer_chan.c: fire_locked(), pass_deadline(), retime_locked(), set(),
 *    weft__timers_fire_locked();
 *  - sched/sync/select.c: weft__select_timers(), wait_for_any();
 *  - parts of sched/core/wait.h: weft__wait_take().
 *
 * The actors:
 *  - Two selects. Each ends with one expiry. Once, a select that has found an expiry may take
 *    another case instead.
 *  - A setter. It sets the timer RESETS times, each time to any moment or to none. Then it sets the
 *    timer to the present until both selects are done.
 *  - The clock.
 *
 * Invariants: an expiry is taken by one actor, and by none after the reset that followed it. When
 * nobody can go on, both selects are done, so no wake is lost.
 *
 * Bounds: as above. The timer expires once; RESETS is 1 or 2; time goes from 1 to 3. wait.pml has
 * the wait itself. Here a wait is a claim, a wake and a deadline. select.pml has channels beside
 * the timer. To these a reset is one more partner.
 *
 * Everything is under the timer's lock except the claims. So the model is sequentially consistent.
 *
 * Broken:
 *  - SILENT: a reset to an earlier time wakes nobody.
 *  - STALE: a reset leaves an earlier expiry in the slot.
 *  - TWICE: an expiry that was handed on expires again.
 *  - READ_EARLY: a select reads the deadline before it has the lock under which it enqueues.
 *  - NO_SECOND_LOOK: a select whose timer's deadline has passed takes that to be the expiry.
 *  - RETIMED_IS_TAKEN: a select that a reset has woken takes that to be the expiry.
 */
#ifndef RESETS
#define RESETS 2
#endif
#define LATEST 3
#define NEVER  9

mtype = { PENDING, TAKEN, RETIMED, TIMEDOUT };

bool locked;
byte now = 1;
byte deadline = NEVER;
bool filled;                 /* the slot */
chan queue = [2] of { byte };

mtype outcome[2] = PENDING;
bool signalled[2];

byte epoch;                /* ghost: counts the resets, under the lock */
byte slot_epoch;           /* ghost: the epoch of what is in the slot */
byte given;                /* ghost: how many expiries of this epoch somebody has */
byte done;                 /* ghost: how many selects have ended */

inline lock()
{
	atomic { !locked -> locked = true }
}

inline have_it()
{
	given++;
	assert(given == 1)
}

/* Takes out and claims the first waiter. peer is its number + 1. */
inline claim_first(as)
{
	peer = 0;
	do
	:: len(queue) > 0 && !peer ->
		d_step {
			queue?node;
			if
			:: outcome[node] == PENDING -> outcome[node] = as; peer = node + 1
			:: else
			fi;
			node = 0
		}
	:: else -> break
	od
}

/* Sets handed to the number of the waiter that got the expiry, + 1. */
inline fire_locked()
{
	if
	:: deadline <= now ->
#ifndef BROKEN_TWICE
		deadline = NEVER;
#endif
		if
		:: !filled -> claim_first(TAKEN)
		:: filled -> peer = 0
		fi;
		if
		:: peer -> handed = peer; have_it()
		:: else -> filled = true; slot_epoch = epoch
		fi;
		peer = 0
	:: else
	fi
}

inline wake(who)
{
	if
	:: who -> signalled[who - 1] = true
	:: else
	fi;
	who = 0
}

proctype waiter(byte me)
{
	byte peer, node, handed, until;
	bool chose_other;

again:
#ifdef BROKEN_READ_EARLY
	until = deadline;
#endif
	lock();
	fire_locked();
#ifndef BROKEN_READ_EARLY
	until = deadline;
#endif
	if
	:: filled ->
		assert(slot_epoch == epoch);
		filled = false;
		have_it();
		locked = false;
		wake(handed);
		goto out
	:: filled && !chose_other -> /* its select takes a channel instead, once, and comes back */
		chose_other = true;
		locked = false;
		wake(handed);
		goto again
	:: !filled
	fi;
	atomic { outcome[me] = PENDING; signalled[me] = false };
	queue!me;
	locked = false;
	wake(handed);
	/* weft__wait() */
	if
	:: signalled[me]
	:: atomic { now >= until && outcome[me] == PENDING -> outcome[me] = TIMEDOUT }
	fi;
	/* dequeue_all() */
	lock();
	if
	:: queue??[eval(me)] -> queue??eval(me)
	:: else
	fi;
	locked = false;
	if
	:: outcome[me] == TAKEN
#ifdef BROKEN_NO_SECOND_LOOK
	:: outcome[me] == TIMEDOUT -> have_it()
#endif
#ifdef BROKEN_RETIMED_IS_TAKEN
	:: outcome[me] == RETIMED -> have_it()
#endif
	:: else -> goto again
	fi;
out:
	done++
}

inline set(to)
{
	lock();
	old = deadline;
#ifndef BROKEN_STALE
	filled = false;
#endif
	atomic { epoch++; given = 0 };
	deadline = to;
#ifndef BROKEN_SILENT
	if
	:: deadline < old && len(queue) > 0 ->
		fire_locked();
		do
		:: deadline < old ->
			claim_first(RETIMED);
			if
			:: peer && !first -> first = peer
			:: peer && first -> second = peer
			:: else -> break
			fi
		:: else -> break
		od;
		peer = 0
	:: else
	fi;
#endif
	locked = false;
	wake(handed);
	wake(first);
	wake(second)
}

proctype setter()
{
	byte peer, node, handed, old, first, second, resets, to;

	do
	:: resets < RESETS ->
		if
		:: to = 1
		:: to = 2
		:: to = LATEST
		:: to = NEVER
		fi;
		set(to);
		resets++
	:: resets == RESETS -> break
	od;
	/* Then one expiry after the other, as long as somebody waits. */
	do
	:: done < 2 ->
		to = now;
		set(to);
		/* the expiry is taken */
		given == 1 || done == 2
	:: done == 2 -> break
	od
}

proctype time_passes()
{
	do
	:: now < LATEST -> now++
	:: now == LATEST -> break
	od
}

init {
	atomic {
		run waiter(0);
		run waiter(1);
		run setter();
		run time_passes()
	}
	_nr_pr == 1;
	assert(done == 2)
}
