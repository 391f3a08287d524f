/* SPDX-License-Identifier: MIT */
/*
 * The semaphore, for all that waits in a queue of sync.h: waiters that give up while they are
 * woken.
 *
 * Mirrors: sched/sync/sem.c take(), take_or_queue_locked(), drop_flag_locked(), wait_for_count(),
 * hand_out_locked(), weft_sem_release(); sched/sync/queue.h sync_push_locked(),
 * sync_remove_locked(), sync_claim_locked(), sync_take_locked(), sync_wake_all(); of
 * sched/core/wait.c weft__wait_claim() and weft__wait_wake().
 *
 * The actors: ACQUIRERS that each acquire once and, unless they are patient, may give up (by a
 * deadline or a cancellation) at any moment; RELEASERS, of which the first releases FIRST counts,
 * the others one each.
 *
 * Invariants: what was released is what was acquired and what is left. Under the lock the word is
 * QUEUED if and only if somebody is in the queue. A node is looked at only while its frame lives.
 * When nobody can go on, those that wait do so for want of a count, and no release waits. Who has
 * got a count of each release, when nobody else acquires any more, may free the semaphore: nobody
 * touches it afterwards.
 *
 * Bounds: as above. A waiter's wait itself is in wait.pml: here it is a claim, a wake and a source
 * of deadlines.
 *
 * All is acquire and release on single words, with no store-load race: sequentially consistent
 * here. A compare-and-swap of the weak kind repeats only when the word has changed. A release that
 * finds the queue empty and the word QUEUED waits for a change of either.
 *
 * Broken: BOTH_WIN: who gives up does not claim itself. GIVE_ANYWAY: who has given up gets a count
 * all the same. NO_DROP: the last one to give up leaves the word QUEUED. NO_REMOVE: who gives up
 * stays in the queue. CLAIM_LATE: the claim comes after the unlock. QUEUE_STORES: QUEUED is stored
 * where 0 was read, without a compare-and-swap. TAKE_STORES: so is a count that is taken.
 * NEXT_LATE: the next one to be woken is looked up in the frame of the last one, who has been
 * woken. REST_LATE: what is left over of a release is added after the unlock. REST_LOST: it is not
 * added.
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
#define RELEASED (FIRST + RELEASERS - 1)
#define QUEUED   255
#define NOBODY   7

mtype = { PENDING, WOKEN, GAVE_UP };

byte word;
bool locked;
chan queue = [ACQUIRERS] of { byte };
mtype outcome[ACQUIRERS] = PENDING;
bool queued[ACQUIRERS], signalled[ACQUIRERS];
byte next_of[ACQUIRERS] = NOBODY; /* .next of a claimed node */
bool alive[ACQUIRERS];   /* ghost: the frame */
byte got, ended, handed; /* ghost: acquired; acquirers and releasers that ended */
bool freed, over;        /* ghost; nobody can go on */

#define TOUCH assert(!freed)

inline lock()
{
	atomic { !locked -> TOUCH; locked = true }
}

inline unlock()
{
	atomic {
		TOUCH;
		assert((word == QUEUED) == (len(queue) > 0));
		locked = false
	}
}

inline drop_flag_locked()
{
#ifndef BROKEN_NO_DROP
	atomic {
		if
		:: len(queue) == 0 && word == QUEUED -> word = 0
		:: else
		fi
	}
#endif
	skip
}

proctype acquirer(byte me)
{
	byte seen;
	bool taken, patient;

	/* take() */
	atomic { TOUCH; seen = word };
	do
	:: seen == 0 || seen == QUEUED -> break
	:: else ->
#ifdef BROKEN_TAKE_STORES
		word = seen - 1;
		goto got_it
#else
		if
		:: atomic { word == seen -> word-- };
			goto got_it
		:: atomic { word != seen -> seen = word }
		fi
#endif
	od;
	atomic { alive[me] = true; outcome[me] = PENDING };
	lock();
	/* take_or_queue_locked() */
	seen = word;
	do
	:: seen == QUEUED -> break
	:: seen != QUEUED ->
		if
#ifdef BROKEN_QUEUE_STORES
		:: seen == 0 -> word = QUEUED; break
#endif
		:: atomic {
			word == seen ->
			word = (seen == 0 -> QUEUED : seen - 1);
			taken = (seen != 0);
			break
		}
		:: atomic { word != seen -> seen = word }
		fi
	od;
	if
	:: taken -> unlock(); goto got_it
	:: else
	fi;
	atomic { queue!me; queued[me] = true };
	unlock();
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
	lock();
#ifndef BROKEN_NO_REMOVE
	if
	:: queued[me] ->
		atomic { queue??eval(me); queued[me] = false };
		drop_flag_locked()
	:: else
	fi;
#endif
	unlock();
	goto out;
got_it:
	got++;
out:
	atomic {
		alive[me] = false;
		ended++;
		seen = 0;
		/* It may know so when a count of each release has come to somebody. */
		if
		:: ended == ACQUIRERS && (got == RELEASED || (RELEASERS == 1 && got > 0)) -> freed = true
		:: else
		fi
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

proctype releaser(byte n)
{
	byte seen, given, first = NOBODY, last = NOBODY, node, next;
	bool claimed;

	atomic { TOUCH; seen = word };
	do
	:: n == 0 -> break
	:: n > 0 && seen != QUEUED ->
		if
		:: atomic { word == seen -> TOUCH; word = word + n; n = 0 }
		:: atomic { word != seen -> TOUCH; seen = word }
		fi
	:: n > 0 && seen == QUEUED ->
		lock();
		/* hand_out_locked() */
		do
		:: given < n && len(queue) > 0 ->
			atomic { queue?node; queued[node] = false; assert(alive[node]) };
#ifdef BROKEN_CLAIM_LATE
			claimed = true;
#else
			claim(node);
#endif
			if
#ifdef BROKEN_GIVE_ANYWAY
			:: !claimed -> given++
#endif
			:: claimed ->
				if
				:: last == NOBODY -> first = node
				:: else -> next_of[last] = node
				fi;
				next_of[node] = NOBODY;
				last = node;
				given++
			:: else
			fi
		:: else -> break
		od;
#ifndef BROKEN_REST_LATE
		if
		:: given > 0 && len(queue) == 0 ->
#ifndef BROKEN_REST_LOST
			word = n - given;
#endif
			given = n
		:: else
		fi;
#endif
		drop_flag_locked();
		unlock();
		d_step { n = n - given; given = 0; claimed = false; last = NOBODY };
		if
		:: n > 0 -> atomic { TOUCH; word != QUEUED || len(queue) > 0 -> seen = word }
		:: else
		fi;
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
		node = 0
	od;
	handed++
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
		assert(got == RELEASED && handed == RELEASERS && ended + len(queue) == ACQUIRERS);
		over = true
	fi;
	_nr_pr == 1;
	assert(word + got == RELEASED)
}
