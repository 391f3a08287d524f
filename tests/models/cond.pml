/* SPDX-License-Identifier: MIT */
/*
 * A condition: entering it with and without its queue's lock, and being taken out of it.
 *
 * Mirrors:
 *  - sched/sync/cond.c: enter(), file_locked(), nobody_waits(), take_locked(), leave_queue(),
 *    weft_cond_signal();
 *  - parts of sched/sync/queue.h: sync_push_locked(), sync_take_locked(), sync_claim_locked().
 *
 * The actors:
 *  - WAITERS waiters. Each waits once, and may give up at any moment after it has unlocked the
 *    mutex.
 *  - SIGNALLERS signallers. Each signals twice, with the mutex or without.
 *
 * Invariants:
 *  - No waiter in `fresh` is overwritten.
 *  - A signal takes the waiter that entered first among those that wait.
 *  - A signal takes nobody only if every waiter that entered before it began was taken or has given
 *    up.
 *  - A node is looked at only while its frame lives.
 *
 * Bounds: as above. The mutex and the lock are plain locks. wait.pml has the wait itself. Here a
 * wait is a claim, a wake and a source of deadlines.
 *
 * The model is sequentially consistent, for two reasons. The two words that are read without the
 * lock are read in the opposite order to that in which they are written, by acquire and release.
 * And nothing here stores one word and then reads another one that its reader stores.
 *
 * Broken:
 *  - OVERWRITE: a waiter that enters does not look whether `fresh` is empty.
 *  - FILE_EARLY: `fresh` is emptied before its node is in the queue.
 *  - LOOK_ORDER: a signal looks at the queue first.
 *  - STAYS: a waiter that gives up leaves `fresh` as it is.
 *  - FRESH_FIRST: a signal takes the fresh waiter before the queue.
 *  - TAKE_UNLOCKED: a signal takes the fresh waiter without the lock.
 */
#ifndef WAITERS
#define WAITERS 3
#endif
#ifndef SIGNALLERS
#define SIGNALLERS 2
#endif
#define NOBODY 7

mtype = { PENDING, WOKEN, GAVE_UP };

bool mutex, lock;
byte fresh = NOBODY;
chan queue = [WAITERS] of { byte };
mtype outcome[WAITERS] = PENDING;
bool queued[WAITERS], signalled[WAITERS];
bool alive[WAITERS], inside[WAITERS]; /* ghosts: the frame lives; the waiter has entered */
byte number[WAITERS], entered;        /* ghost: the order of entering */

#define acquire(l) atomic { !l -> l = true }
#define release(l) l = false

#define WAITS(i) (inside[i] && outcome[i] == PENDING)

/* Ghost: one step with the store that makes the waiter visible. */
#define ENTERS inside[me] = true; number[me] = entered; entered++

inline file_locked()
{
	if
	:: fresh != NOBODY ->
#ifdef BROKEN_FILE_EARLY
		atomic { moved = fresh; fresh = NOBODY };
		atomic { queue!moved; queued[moved] = true };
#else
		atomic { moved = fresh; assert(alive[moved]); queue!moved; queued[moved] = true };
		fresh = NOBODY;
#endif
		moved = 0
	:: else
	fi
}

proctype waiter(byte me)
{
	byte moved;
	bool none;

	acquire(mutex);
	atomic { alive[me] = true; outcome[me] = PENDING };
	/* enter() */
#ifdef BROKEN_OVERWRITE
	none = true;
#else
	none = (fresh == NOBODY);
#endif
	if
	:: none -> atomic { assert(fresh == NOBODY); fresh = me; ENTERS }
	:: else ->
		acquire(lock);
		file_locked();
		atomic { queue!me; queued[me] = true; ENTERS };
		release(lock)
	fi;
	release(mutex);
	/* weft__wait() */
	if
	:: signalled[me]
	:: atomic { outcome[me] == PENDING -> outcome[me] = GAVE_UP }
	fi;
	if
	:: outcome[me] == GAVE_UP ->
		/* leave_queue() */
		acquire(lock);
		if
#ifndef BROKEN_STAYS
		:: fresh == me -> fresh = NOBODY
#endif
		:: fresh != me && queued[me] -> atomic { queue??eval(me); queued[me] = false }
		:: else
		fi;
		release(lock)
	:: else
	fi;
	atomic { alive[me] = false; inside[me] = false; none = false };
	acquire(mutex);
	release(mutex)
}

/* Whether every waiter that waited when the signal began waits no longer. */
#define NONE_LEFT (!(before[0] && WAITS(0)) && !(before[1] && WAITS(1)) && !(before[2] && WAITS(2)))
/* Whether no waiter that still waits entered before n. */
#define FIRST(n) (!(WAITS(0) && number[0] < number[n]) && !(WAITS(1) && number[1] < number[n]) && \
		  !(WAITS(2) && number[2] < number[n]))

inline claim(n)
{
	atomic {
		assert(alive[n]);
		if
		:: outcome[n] == PENDING -> assert(FIRST(n)); outcome[n] = WOKEN; claimed = true
		:: else
		fi
	}
}

inline take_fresh()
{
	if
	:: !claimed && fresh != NOBODY ->
		node = fresh;
		fresh = NOBODY;
		claim(node)
	:: else
	fi
}

inline take_queued()
{
	do
	:: !claimed && len(queue) > 0 ->
		atomic { queue?node; queued[node] = false };
		claim(node)
	:: else -> break
	od
}

inline signal()
{
	d_step {
		before[0] = WAITS(0);
		before[1] = WAITS(1);
		before[2] = WAITS(2)
	};
	/* nobody_waits() */
#ifdef BROKEN_LOOK_ORDER
	looks = len(queue) > 0;
	looks = looks || fresh != NOBODY;
#else
	looks = fresh != NOBODY;
	looks = looks || len(queue) > 0;
#endif
	if
	:: looks ->
#ifdef BROKEN_TAKE_UNLOCKED
		take_fresh();
#endif
		acquire(lock);
#ifdef BROKEN_FRESH_FIRST
		take_fresh();
#endif
		take_queued();
		take_fresh();
		assert(claimed || NONE_LEFT);
		release(lock);
		if
		:: claimed -> signalled[node] = true
		:: else
		fi
	:: else -> assert(NONE_LEFT)
	fi;
	atomic { node = 0; claimed = false; looks = false; before[0] = false; before[1] = false; before[2] = false }
}

proctype signaller()
{
	byte node;
	bool claimed, looks, before[3];

	if
	:: acquire(mutex);
		signal();
		release(mutex)
	:: signal()
	fi;
	signal()
}

init {
	byte i;

	atomic {
		do
		:: i < WAITERS -> run waiter(i); i++
		:: else -> break
		od;
		i = 0;
		do
		:: i < SIGNALLERS -> run signaller(); i++
		:: else -> break
		od
	}
}
