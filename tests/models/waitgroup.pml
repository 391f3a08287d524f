/* SPDX-License-Identifier: MIT */
/*
 * The wait group: a count that rises and falls by one compare-and-swap, and becomes 0 under the
 * lock of its queue.
 *
 * Mirrors:
 *  - sched/sync/waitgroup.c: weft_waitgroup_add(), weft_waitgroup_done(), empty_locked(),
 *    wait_until_empty(), weft_waitgroup_wait_until();
 *  - sched/sync/queue.h: sync_await_unlock().
 *
 * Invariants:
 *  - A wait ends once all that is counted is done. If it does not, this is a deadlock.
 *  - It does not end before that.
 *  - Nobody touches the object once the wait has returned, because its memory may go.
 *
 * Bounds: two workers that are counted from the start. One of them may count something more while
 * it works, and do that as well. One waiter. With OUTSIDER somebody counts and does something at any
 * time. Then the object stays, and a wait may end at any moment at which the count is 0.
 *
 * Broken:
 *  - ZERO_UNLOCKED: the last done makes the count 0 before it takes the lock.
 *  - STORE_ZERO: it stores the 0, whatever the count is by then.
 *  - NO_AWAIT: a wait that finds 0 does not wait until the last done is out of the lock.
 *  - NO_RECHECK: a wait does not look at the count again under the lock.
 */
byte count = 2;
bool held, queued, woken; /* the lock; the waiter is in the queue; it was woken */
bool alive = true;        /* ghost: the object */
byte undone = 2;          /* ghost: what is counted and not done */

inline lock()
{
	atomic { !held -> assert(alive); held = true }
}

inline unlock()
{
	atomic { assert(alive); held = false }
}

/* weft_waitgroup_done(). */
inline done()
{
	undone--;
	atomic { assert(alive); seen = count };
	do
	:: seen == 0 -> assert(false) /* more is done than was counted */
	:: seen > 1 ->
		atomic {
			assert(alive);
			if
			:: count == seen -> count = seen - 1; break
			:: else -> seen = count
			fi
		}
	:: seen == 1 ->
#ifdef BROKEN_ZERO_UNLOCKED
		atomic {
			assert(alive);
			last = count == 1;
			count = (last -> 0 : count)
		};
		lock();
#else
		lock();
#ifdef BROKEN_STORE_ZERO
		atomic { last = true; count = 0 };
#else
		atomic { last = count == 1; count = (last -> 0 : count) };
#endif
#endif
		atomic {
			wakes = last && queued;
			queued = queued && !last
		};
		unlock();
		if
		:: wakes -> woken = true /* touches the waiter only */
		:: else
		fi;
		if
		:: last -> break
		:: else -> atomic { assert(alive); seen = count }
		fi
	od
}

active proctype first()
{
	byte seen;
	bool last, wakes;

	if
	:: done()
	:: true ->
		/* weft_waitgroup_add(). */
		atomic { assert(alive); undone++; count++ };
		done();
		done()
	fi
}

active proctype second()
{
	byte seen;
	bool last, wakes;

	done()
}

/* weft_waitgroup_wait_until(). */
active proctype waiter()
{
	bool waits;

	if
	:: count == 0 ->
#ifndef BROKEN_NO_AWAIT
		if
		:: held -> lock(); unlock()
		:: !held
		fi
#else
		skip
#endif
	:: else ->
		/* wait_until_empty(). */
		lock();
#ifdef BROKEN_NO_RECHECK
		waits = true;
#else
		waits = count > 0;
#endif
		queued = waits;
		unlock();
		!waits || woken
	fi;
#ifndef OUTSIDER
	atomic { assert(undone == 0); alive = false }
#endif
}

#ifdef OUTSIDER
active proctype outsider()
{
	byte seen;
	bool last, wakes;

	atomic { undone++; count++ };
	done()
}
#endif
