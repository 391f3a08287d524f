/* SPDX-License-Identifier: MIT */
/*
 * The semaphore, which stands for all that waits in a queue of sync.h. Waiters give up while they
 * are being woken.
 *
 * Mirrors:
 *  - sched/sync/sem.c: take(), await_unlocked(), lock_from(), unlock(), wait_for_counts(),
 *    leave_queue(), hand_out_locked(), release_many_locked(), release_one_locked(), release(),
 *    weft_sem_release();
 *  - sched/sync/queue.h: sync_push_locked(), sync_remove_locked(), sync_claim_locked(),
 *    sync_wake_all();
 *  - parts of sched/core/wait.h: weft__wait_take();
 *  - parts of sched/core/wait.c: weft__wait_wake().
 *
 * The actors:
 *  - ACQUIRERS acquirers. Each acquires once. Unless it is patient, it may give up at any moment,
 *    by a deadline or a cancellation. The first one wants WANT counts, and each of the others wants
 *    one.
 *  - RELEASERS releasers. The first one releases FIRST counts, and each of the others releases one.
 *
 * Invariants:
 *  - The counts that were released are those that were acquired and those that are left.
 *  - While the word is not LOCKED, it is QUEUED if and only if somebody is in the queue.
 *  - While the word is LOCKED, only the caller that locked it changes it.
 *  - A node is looked at only while its frame lives.
 *  - When nobody can go on, the first waiter wants more than there is, and no release waits.
 *  - A caller that has got a count of each release may free the semaphore once nobody else
 *    acquires. Nobody touches the semaphore afterwards.
 *
 * Bounds: as above. wait.pml has the wait itself. Here a wait is a claim, a wake and a source of
 * deadlines.
 *
 * Everything is acquire and release on single words, and there is no store-load race. So the model
 * is sequentially consistent. A weak compare-and-swap repeats only when the word has changed. A
 * caller that finds the word LOCKED waits until it is not.
 *
 * Broken:
 *  - BOTH_WIN: a waiter that gives up does not claim itself.
 *  - GIVE_ANYWAY: a waiter that has given up gets a count all the same.
 *  - NO_DROP: the last waiter to leave the queue leaves the word QUEUED.
 *  - NO_REMOVE: a waiter that gives up stays in the queue.
 *  - NO_AWAIT: a waiter that gives up does not wait for the caller that has the word locked.
 *  - CLAIM_LATE: the claim comes after the unlock.
 *  - LOCK_STORES: a caller that is about to queue has read 0 and stores LOCKED without a
 *    compare-and-swap.
 *  - TAKE_STORES: a caller takes a count in the same way.
 *  - TAKE_LOCKED: a count is added to a word that is LOCKED.
 *  - NEXT_LATE: the next node to be woken is looked up in the frame of the last node, which has
 *    already been woken.
 *  - REST_LATE: the rest of a release is added after the unlock.
 *  - REST_LOST: the rest of a release is not added.
 *  - LEAVE_ONLY: a waiter that gives up does not hand the count out to those behind it.
 */
#ifndef ACQUIRERS
#define ACQUIRERS 3
#endif
#ifndef RELEASERS
#define RELEASERS 1
#endif
#ifndef FIRST
#define FIRST 2
#endif
#ifndef WANT
#define WANT 1
#endif
#define WANTED(who) (who == 0 -> WANT : 1)
#define COUNT(value) ((value) & 63)
#define RELEASED (FIRST + RELEASERS - 1)
#define LOCKED   128
#define QUEUED   64
#define NOBODY   7

mtype = { PENDING, WOKEN, GAVE_UP };

byte word;
chan queue = [ACQUIRERS] of { byte };
mtype outcome[ACQUIRERS] = PENDING;
bool queued[ACQUIRERS], signalled[ACQUIRERS];
byte next_of[ACQUIRERS] = NOBODY; /* .next of a claimed node */
bool alive[ACQUIRERS];   /* ghost: the frame lives */
byte got, ended, handed; /* ghost: counts acquired; acquirers that ended; releasers that ended */
bool freed, over;        /* ghost: the semaphore is freed; nobody can go on */

#define TOUCH assert(!freed)

/* Waits until the word is not LOCKED, and reads it. */
inline await_unlocked()
{
	atomic { !(word & LOCKED) -> TOUCH; seen = word; assert(((seen & QUEUED) != 0) == (len(queue) > 0)) }
}

inline unlock(count)
{
	atomic {
		TOUCH;
		assert(word & LOCKED);
#ifdef BROKEN_NO_DROP
		word = (count) | (len(queue) > 0 || (word & QUEUED) -> QUEUED : 0)
#else
		word = (count) | (len(queue) > 0 -> QUEUED : 0)
#endif
	}
}

inline claim(node)
{
	d_step {
		assert(alive[node]);
		claimed = (outcome[node] == PENDING);
		outcome[node] = (claimed -> WOKEN : outcome[node])
	}
}

/* hand_out_locked(). The nodes that got their counts are linked from `first` to `last`. */
inline hand_out(rest)
{
	do
	:: rest > 0 && len(queue) > 0 ->
		queue?<node>;
		if
		:: WANTED(node) > rest -> break
		:: else
		fi;
		atomic { queue?node; queued[node] = false; assert(alive[node]) };
#ifdef BROKEN_CLAIM_LATE
		claimed = true;
#else
		claim(node);
#endif
		if
#ifdef BROKEN_GIVE_ANYWAY
		:: !claimed -> rest = rest - WANTED(node)
#endif
		:: claimed ->
			if
			:: last == NOBODY -> first = node
			:: else -> next_of[last] = node
			fi;
			next_of[node] = NOBODY;
			last = node;
			rest = rest - WANTED(node)
		:: else
		fi
	:: else -> break
	od
}

inline wake_all()
{
	/* sync_wake_all() */
	do
	:: first != NOBODY ->
#ifdef BROKEN_CLAIM_LATE
		claim(first);
#endif
#ifndef BROKEN_NEXT_LATE
		atomic { assert(alive[first]); next = next_of[first] };
#endif
		signalled[first] = true;
#ifdef BROKEN_NEXT_LATE
		atomic { assert(alive[first]); next = next_of[first] };
#endif
		atomic { first = next; next = 0 }
	:: else -> break
	od;
}

proctype acquirer(byte me)
{
	byte seen, first = NOBODY, last = NOBODY, node, next, left;
	bool patient, claimed;

	atomic { alive[me] = true; outcome[me] = PENDING };
	/* weft_sem_acquire_until(), wait_for_counts() */
	do
	:: true ->
		/* take() */
		atomic { TOUCH; seen = word };
		do
		:: COUNT(seen) < WANTED(me) || (seen & (LOCKED | QUEUED)) -> break
		:: else ->
#ifdef BROKEN_TAKE_STORES
			word = seen - WANTED(me);
			goto got_it
#else
			if
			:: atomic { word == seen -> TOUCH; word = word - WANTED(me) };
				goto got_it
			:: atomic { word != seen -> TOUCH; seen = word }
			fi
#endif
		od;
		await_unlocked();
		if
		:: (seen & QUEUED) || seen < WANTED(me) ->
			/* lock_from() */
			if
#ifdef BROKEN_LOCK_STORES
			:: seen == 0 -> word = LOCKED; break
#endif
			:: atomic { word == seen -> TOUCH; word = seen | LOCKED }; break
			:: atomic { word != seen -> TOUCH }
			fi
		:: else
		fi
	od;
	atomic { queue!me; queued[me] = true };
	unlock(COUNT(word));
	/* weft__wait() */
	if
	:: patient = true
	:: true
	fi;
	if
	:: signalled[me]
	:: atomic {
#ifdef BROKEN_BOTH_WIN
		!patient || over ->
#else
		(!patient || over) && outcome[me] == PENDING ->
#endif
		outcome[me] = GAVE_UP
	}
	fi;
	if
	:: outcome[me] == WOKEN -> goto got_it
	:: else
	fi;
	/* leave_queue() */
#if !defined(BROKEN_NO_REMOVE) && !defined(BROKEN_NO_AWAIT)
	do
	:: true ->
		await_unlocked();
		if
		:: !(seen & QUEUED) -> goto out
		:: else
		fi;
		if
		:: atomic { word == seen -> word = seen | LOCKED }; break
		:: word != seen
		fi
	od;
	left = COUNT(seen);
	if
	:: queued[me] ->
		atomic { queue??eval(me); queued[me] = false };
#ifndef BROKEN_LEAVE_ONLY
		hand_out(left)
#endif
	:: else
	fi;
	unlock(left);
	wake_all();
#endif
#ifdef BROKEN_NO_AWAIT
	if
	:: atomic { queued[me] && (word & QUEUED) && !(word & LOCKED) -> queue??eval(me); queued[me] = false; word = COUNT(word) | (len(queue) > 0 -> QUEUED : 0) }
	:: atomic { !queued[me] || (word & LOCKED) }
	fi;
#endif
	goto out;
got_it:
	got = got + WANTED(me);
out:
	atomic {
		alive[me] = false;
		ended++;
		seen = 0;
		left = 0;
		node = 0;
		next = 0;
		claimed = false;
		first = NOBODY;
		last = NOBODY;
		/* It may know that when somebody has got a count of each release. */
		if
		:: ended == ACQUIRERS && (got == RELEASED || (RELEASERS == 1 && got > 0)) -> freed = true
		:: else
		fi
	}
}

proctype releaser(byte n)
{
	byte seen, left, first = NOBODY, last = NOBODY, node, next;
	bool claimed, done;

	do
	:: !done ->
#ifdef BROKEN_TAKE_LOCKED
		atomic { TOUCH; seen = word };
#else
		await_unlocked();
#endif
		if
		:: (seen & QUEUED) ->
			/* lock_from() */
			if
			:: atomic { word == seen -> word = seen | LOCKED }
			:: atomic { word != seen -> goto again }
			fi;
			left = COUNT(seen) + n;
			hand_out(left);
#if defined(BROKEN_REST_LATE) || defined(BROKEN_REST_LOST)
			unlock(0);
#else
			unlock(left);
#endif
#ifdef BROKEN_REST_LATE
			atomic { TOUCH; word = word + left };
#endif
			done = true
		:: !(seen & QUEUED) ->
			if
			:: atomic { word == seen -> TOUCH; word = word + n; done = true }
			:: atomic { word != seen -> TOUCH }
			fi
		fi;
again:		skip
	:: done -> break
	od;
	wake_all();
	atomic { node = 0; left = 0; last = NOBODY; seen = 0; claimed = false; handed++ }
}

init {
	byte i;

	atomic {
		do
		:: i < ACQUIRERS -> run acquirer(i); i++
		:: else -> break
		od;
		run releaser(FIRST);
#if RELEASERS == 2
		run releaser(1)
#endif
	}
	if
	:: _nr_pr == 1
	:: timeout ->
		/* The first in line wants more than there is. */
		assert(handed == RELEASERS && ended + len(queue) == ACQUIRERS);
		assert(got + COUNT(word) == RELEASED);
		assert(len(queue) == 0 || COUNT(word) == 0 || (queue?[0] && COUNT(word) < WANT));
		over = true
	fi;
	_nr_pr == 1;
	assert(word + got == RELEASED)
}
