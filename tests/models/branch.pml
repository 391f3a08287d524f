/* SPDX-License-Identifier: MIT */
/*
 * Branches. A group is taken out of its owner's family while the owner is being cancelled, and is
 * put in again. A caller that has waited for the group takes it out, or the end of its owner does.
 *
 * Mirrors:
 *  - sched/core/family.c: weft__branch_enter(), weft__branch_leave(), weft__branch_await(),
 *    try_cut(), try_lock(), weft__family_leave(), cut_all_locked(), weft__reach_branches();
 *  - sched/core/cancel.c: weft_cancel(), request_below(), hold();
 *  - sched/sync/group_spawn.c: spawn();
 *  - sched/sync/group.c: weft__group_leave_family_locked(), wait_until(), cancel_members().
 *
 * Invariants:
 *  - Nobody touches the owner or the group after its end.
 *  - A group is not put into the list while it is in the list.
 *  - A group whose owner is cancelled is reached, or was taken out before that.
 *
 * Bounds: one owner, one group, CANCELLERS cancellers (1 or more), and another task.
 *  1. The owner spawns, so that the group enters.
 *  2. Both the owner and the other task wait for the group and take it out. The owner may spawn and
 *     wait once more. Or the owner does not wait at all.
 *  3. The owner ends when the cancellers have released its lock. family.pml says why it does not
 *     end sooner.
 *
 * Broken:
 *  - NO_HOLD_WAIT: a task that takes the group out does not wait until the group is not held.
 *  - NO_CUT: the owner ends without taking the group out.
 *  - NO_LOCK: a task that takes the group out looks at its owner without the branch's lock.
 *  - NO_CHECK: a group that enters does not look whether the owner is cancelled.
 *  - LET_GO_EARLY: the canceller lets go of the group before it reaches it.
 *  - IN_ORDER: a task that takes the group out holds the branch's lock while it waits for the
 *    owner's lock.
 *  - LEAVE_UNLOCKED: it releases the group's lock before it takes the group out.
 *  - AWAIT_LOCKED: it holds the group's lock while it waits until the group is not held.
 */
#ifndef CANCELLERS
#define CANCELLERS 1
#endif

bool owner_busy, owner_requested;
bool branch_busy;
bool group_busy, in_family, running; /* struct group: lock, entered, running */
bool waited, others_done, theirs;
bool listed, has_owner; /* in the list; branch.owner */
bool held;
bool reached;           /* group.cancelled */
byte given_back;        /* ghost: how many cancellers have released the owner's lock */
bool owner_alive = true, group_alive = true; /* ghost */
bool out_before;        /* ghost: it was taken out before a request */

inline lock_owner()
{
	atomic { !owner_busy -> assert(owner_alive); owner_busy = true }
}

inline unlock_owner()
{
	d_step { assert(owner_alive); owner_busy = false }
}

inline lock_branch()
{
	atomic { !branch_busy -> assert(group_alive); branch_busy = true }
}

inline unlock_branch()
{
	atomic { assert(group_alive); branch_busy = false }
}

inline lock_group()
{
	atomic { !group_busy -> assert(group_alive); group_busy = true }
}

inline unlock_group()
{
	atomic { assert(group_alive); group_busy = false }
}

/* weft__branch_leave(). */
inline cut()
{
	do
	:: true ->
#ifndef BROKEN_NO_LOCK
		lock_branch();
#endif
		if
		:: !has_owner ->
#ifndef BROKEN_NO_LOCK
			unlock_branch();
#endif
			break
		:: has_owner ->
#if defined(BROKEN_NO_LOCK) || defined(BROKEN_IN_ORDER)
			lock_owner();
			got = true;
#else
			atomic {
				assert(owner_alive);
				got = !owner_busy;
				owner_busy = true
			};
#endif
			if
			:: got ->
				d_step { listed = false; has_owner = false; out_before = !owner_requested };
				unlock_owner();
#ifndef BROKEN_NO_LOCK
				unlock_branch();
#endif
				break
			:: !got ->
				unlock_branch();
				/* weft__pause(): somebody else goes on. */
				!owner_busy || !has_owner
			fi
		fi
	od
}

/* The end of wait_until(). */
inline take_out()
{
	lock_group();
	if
	:: running -> unlock_group()
	:: !running && !in_family -> unlock_group(); !held
	:: !running && in_family ->
#ifdef BROKEN_LEAVE_UNLOCKED
		in_family = false;
		unlock_group();
		cut();
#else
		cut();
		in_family = false;
#ifdef BROKEN_AWAIT_LOCKED
		!held;
#endif
		unlock_group();
#endif
#ifndef BROKEN_NO_HOLD_WAIT
		!held
#endif
	fi
}

/* spawn() by the owner. The group's task runs until `running` is false. */
inline spawn()
{
	bool enters;

	lock_group();
	enters = !in_family;
	in_family = true;
	running = true;
	unlock_group();
	if
	:: enters ->
		lock_owner();
		lock_branch();
		has_owner = true;
		unlock_branch();
		atomic { assert(!listed); listed = true };
#ifndef BROKEN_NO_CHECK
		got = owner_requested;
#endif
		unlock_owner();
		if
		:: got -> lock_group(); reached = true; unlock_group()
		:: else
		fi;
		got = false
	:: else
	fi;
	running = false
}

active [CANCELLERS] proctype canceller()
{
	bool mine;

	atomic { !owner_busy -> assert(owner_alive); owner_busy = true };
	owner_requested = true;
	if
	:: listed ->
		atomic {
			assert(group_alive);
			if
			:: !held -> held = true; mine = true
			:: else
			fi
		}
	:: else
	fi;
	atomic { unlock_owner(); given_back++ };
	if
	:: mine ->
#ifdef BROKEN_LET_GO_EARLY
		held = false;
#endif
		lock_group();
		reached = true;
		unlock_group();
#ifndef BROKEN_LET_GO_EARLY
		atomic { assert(group_alive); held = false }
#endif
	:: else
	fi
}

active proctype owner()
{
	bool got;

	spawn();
	waited = true; /* from here on another task may have waited for the group */
	if
	:: theirs = true /* the other task takes it out, and this one ends */
	:: take_out(); others_done; group_alive = false
	:: take_out(); spawn(); take_out(); others_done; group_alive = false
	fi;
	given_back == CANCELLERS;
	/* The end: weft__family_leave(). */
	atomic { !owner_busy -> owner_busy = true };
#ifndef BROKEN_NO_CUT
	if
	:: listed ->
		lock_branch();
		d_step { listed = false; has_owner = false };
		unlock_branch()
	:: else
	fi;
#endif
	owner_busy = false;
	owner_alive = false
}

active proctype other()
{
	bool got;

end:
	waited -> take_out();
	others_done = true;
endfree:
	theirs -> group_alive = false
}

active proctype judge()
{
end:
	timeout -> assert(reached || out_before)
}
