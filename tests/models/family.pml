/* SPDX-License-Identifier: MIT */
/*
 * Families. A cancellation of a task reaches a fork below it that just begins to wait, and the
 * canceller touches nothing that may have ended.
 *
 * Mirrors:
 *  - sched/core/family.c: weft__family_enter(), weft__family_leave(), weft__family_cancelled(),
 *    weft__family_lock(), weft__family_unlock();
 *  - sched/core/cancel.c: weft_cancel(), request(), request_below(), claim_below(), claim(),
 *    weft__wake_cancelled();
 *  - sched/core/wait.c: must_end(), cancel_show(), cancel_itself(), cancel_hide().
 *
 * Invariants: the lowest fork ends, because a task above it is cancelled. If it does not, this is a
 * deadlock. A canceller looks at the lowest fork, at the fork between and at the root only while
 * they live.
 *
 * Bounds: a root, a fork of it (the fork between), and a fork of that (the lowest fork). One
 * canceller cancels the root or the fork between. The lowest fork waits ROUNDS times. Only the
 * cancellation ends its last wait. Instead of waiting, it may also call weft_cancelled() until that
 * is true. Then it ends, and those above it end with it. With LISTED, the fork between has entered
 * the list before.
 *
 * The lowest fork's stores of `waiting` go through a store buffer. Only locked instructions change
 * the words `cancel`. These instructions see each other. But if one of them only acquires, a plain
 * load may see the root's BUSY later than what was stored after it. wait.pml has the claim of a
 * wait.
 *
 * Broken:
 *  - NO_LOOK: a fork that enters does not look above.
 *  - LOOK_FIRST: it looks before it has the lock.
 *  - UNLOCKED: it enters without the lock.
 *  - ONE_UP: it looks only at its parent.
 *  - NO_HEAVY: the canceller's fence is light.
 *  - NO_LEAVE: a listed fork ends without the lock.
 *  - POLL_NO_WAIT: weft_cancelled() does not wait for the canceller.
 *  - POLL_NEAR: it waits for the canceller of the task at which it has found the request.
 *  - POLL_ROOT: it waits only for the canceller of the root.
 *  - UNLOCK_EARLY: the canceller of the fork between releases the root's lock before it is done.
 */
#ifndef ROUNDS
#define ROUNDS 2
#endif

#define LOWEST  0
#define STORERS 1
#define FENCERS 1
#define DEPTH   2
#define CELLS   1
#define WAITING 0

#include "tso.h"

/* struct task.cancel: requested, busy, reached. */
bool root_requested, root_busy;
bool root_shown;         /* root_busy, as a plain load sees it */
bool between_requested, between_busy;
bool lowest_requested, lowest_busy, lowest_reached;
bool listed;             /* the lowest fork is in the list */
bool pending, woken;     /* its wait */
bool alive = true;       /* ghost: the lowest fork */
bool all_alive = true;   /* ghost: those above it */

inline lock_root()
{
	atomic { !root_busy -> assert(all_alive); root_busy = true }
}

inline unlock_root()
{
	atomic { assert(all_alive); root_busy = false; root_shown = false }
}

/* Called before a release. A reader that acquires sees what was stored before. */
inline show_root()
{
	root_shown = root_busy
}

/* The store of BUSY may also be seen earlier. */
active proctype shower()
{
end:
	do
	:: atomic { root_busy && !root_shown -> root_shown = true }
	od
}

/* By the lowest fork, whose locked instruction empties its buffer. */
inline lock_root_as_fork()
{
	atomic { DRAINED(LOWEST) && !root_busy -> root_busy = true }
}

inline request_below()
{
	if
	:: listed ->
		atomic {
			!lowest_busy ->
			assert(alive);
			if
			:: !lowest_requested -> lowest_requested = true; lowest_busy = true
			:: else
			fi
		}
	:: else
	fi
#ifdef LISTED
	if
	:: target_is_root -> between_requested = true
	:: else
	fi
#endif
}

inline claim_below()
{
	if
	:: listed && lowest_busy ->
		assert(alive);
		seen = cell[WAITING];
		atomic {
			if
			:: seen && pending -> pending = false; claimed = true
			:: else
			fi
		}
		atomic { show_root(); lowest_busy = false }
	:: else
	fi
}

active proctype canceller()
{
	bool target_is_root, seen, claimed;

	if
	:: target_is_root = true
	:: target_is_root = false
	fi;
	if
	:: target_is_root -> atomic { !root_busy -> root_busy = true; root_requested = true }
	:: else ->
		lock_root();
		atomic { between_requested = true; between_busy = true }
	fi;
	request_below();
#ifdef BROKEN_NO_HEAVY
	LIGHT_FENCE;
#else
	heavy_fence(0);
#endif
	claim_below();
#ifdef BROKEN_UNLOCK_EARLY
	unlock_root();
#endif
	if
	:: !target_is_root -> atomic { assert(all_alive); show_root(); between_busy = false }
	:: else
	fi;
#ifndef BROKEN_UNLOCK_EARLY
	unlock_root();
#endif
	if
	:: claimed -> atomic { assert(alive); woken = true }
	:: else
	fi
}

inline look_above()
{
#if defined(BROKEN_NO_LOOK)
	skip
#elif defined(LISTED) || defined(BROKEN_ONE_UP)
	above = between_requested
#else
	above = between_requested || root_requested
#endif
}

inline enter()
{
#ifdef BROKEN_LOOK_FIRST
	look_above();
#endif
#ifdef BROKEN_UNLOCKED
	DRAINED(LOWEST);
#else
	lock_root_as_fork();
#endif
#ifndef BROKEN_LOOK_FIRST
	look_above();
#endif
	listed = true;
	d_step { lowest_reached = true; lowest_requested = lowest_requested || above };
#ifndef BROKEN_UNLOCKED
	unlock_root()
#endif
}

/* A cancellable wait. A waker may also end the wait of round 1. */
inline wait_once()
{
	pending = true;
	STORE(LOWEST, WAITING, 1);
	LIGHT_FENCE;
	if
	:: !lowest_reached && !lowest_requested -> enter()
	:: else
	fi;
	if
	:: lowest_requested ->
		atomic {
			if
			:: pending -> pending = false; ended = true
			:: else
			fi
		}
	:: else
	fi;
	if
	:: ended
	:: !ended ->
		if
		:: atomic { woken -> woken = false; ended = true }
		:: atomic { round < ROUNDS && pending -> pending = false }
		fi
	fi;
	STORE(LOWEST, WAITING, 0);
	LIGHT_FENCE;
	!lowest_busy
}

/* weft_cancelled(), repeated until it is true. */
inline poll()
{
	if
	:: lowest_requested
	:: !lowest_reached && between_requested
	:: !lowest_reached && root_requested && (root_shown || !root_busy)
	fi;
#ifndef BROKEN_POLL_NO_WAIT
#ifndef BROKEN_POLL_ROOT
	if
	:: lowest_requested -> !lowest_busy
	:: !lowest_requested && between_requested -> !between_busy
	:: else
	fi;
#endif
#ifdef BROKEN_POLL_NEAR
	if
	:: lowest_requested || between_requested
	:: else -> !root_shown
	fi
#else
	!root_shown
#endif
#else
	skip
#endif
}

active proctype lowest()
{
	byte round = 1;
	bool above, ended;

	do
	:: !ended && round <= ROUNDS -> wait_once(); round++
	:: !ended -> poll(); ended = true
	:: ended -> break
	od;
	DRAINED(LOWEST);
#ifndef BROKEN_NO_LEAVE
	if
	:: listed ->
		lock_root_as_fork();
		listed = false;
		unlock_root()
	:: else
	fi;
#endif
#ifdef LISTED
	/* The fork between is listed, too. */
	lock_root_as_fork();
	unlock_root();
#endif
	atomic { alive = false; all_alive = false }
}
