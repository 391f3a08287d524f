/* SPDX-License-Identifier: MIT */
/*
 * Two selects that face each other on two channels, and other callers that come to one of the
 * channels. Each finds one partner, and no element is lost.
 *
 * Mirrors:
 *  - sched/sync/select.c: weft_select_sized(), choose(), take_ready(), lock_and_look(),
 *    take_locked(), unlock_all(), wait_for_one(), dequeue_all();
 *  - sched/sync/chan_parts.h: claim_first(), chan_enqueue_locked(), chan_dequeue_locked();
 *  - sched/sync/chan.c: send_locked(), recv_locked(), wait_locked(), weft__chan_step_locked(),
 *    weft__chan_finish();
 *  - sched/sync/chan.h: chan_looks_ready();
 *  - parts of sched/core/wait.h: weft__wait_take();
 *  - parts of sched/core/wait.c: weft__wait_wake().
 *
 * The actors, which may give up at any moment by a deadline or a cancellation, unless they are
 * patient:
 *  - A select that sends on the first channel or receives from the second.
 *  - A select that receives from the first channel or sends on the second.
 *  - A caller that comes to the first channel only.
 *  - With FOURTH=1, a caller that comes to both channels; with FOURTH=2, to the second one only.
 *
 * Invariants:
 *  - A caller that sent or received did so once, with one partner. Each is the other's partner.
 *    With a capacity: as many elements were sent as were received and are left in the buffers.
 *  - When nobody can go on, no two callers wait that could have met. Then nobody waits to receive
 *    from a buffer with an element in it, or to send to a buffer with room.
 *  - A waiter is looked at only while its frame lives.
 *  - Nobody waits for a lock for ever (a deadlock).
 *
 * Bounds: as above; a capacity of CAPACITY, which is 0 or 1. wait.pml has the wait itself. Here a
 * wait is a claim, a wake and a source of deadlines. Closing is not modelled.
 *
 * Everything is under the channels' locks except the claims and the first looks, and nothing is
 * concluded from a first look. So the model is sequentially consistent.
 *
 * Broken:
 *  - ONE_BY_ONE: a select enqueues itself in one channel after the other.
 *  - NO_SECOND_LOOK: it does not look again under the locks.
 *  - LOCK_AS_GIVEN: it locks in the order of its cases.
 *  - LEAVE_NODE: it leaves its other nodes where they are.
 *  - NO_CLAIM: a waiter that is found is not claimed.
 *  - GIVE_UP_ANYWAY: a waiter that gives up does not claim itself.
 *  - CLAIM_LATE: the claim comes after the unlock.
 *  - COPY_LATE: the element is copied after the wake.
 *  - NO_REFILL: a caller that receives from a full buffer lets no sender in.
 */
#ifndef CAPACITY
#define CAPACITY 0
#endif
#ifdef FOURTH
#define ACTORS 4
#else
#define ACTORS 3
#endif

#define NEITHER 0
#define SENDS   1
#define RECVS   2

mtype = { PENDING, WOKEN, GAVE_UP };

bool locked[2];
byte count[2];
/* the senders and the receivers of channel 0, then of channel 1 */
chan queue[4] = [ACTORS] of { byte };

mtype outcome[ACTORS] = PENDING;
bool signalled[ACTORS];
byte taken[ACTORS];     /* which case was claimed, by its channel */
bool alive[ACTORS];     /* ghost: the frame lives */
byte partner[ACTORS];   /* ghost: the partner's number + 1 */
/* ghost: what the actor did and how often: 1 for each send, 16 for each receive */
byte done[ACTORS];
bool over;              /* ghost: nobody can go on */

inline lock(c)
{
	atomic { !locked[c] -> locked[c] = true }
}

#define LOOKS_READY(c, op) \
	((op) == SENDS && (count[c] < CAPACITY || len(queue[(c) * 2 + 1]) > 0) || \
	 (op) == RECVS && (count[c] > 0 || len(queue[(c) * 2]) > 0))

/* Under the lock: takes out and claims the first waiter in a queue. peer is its number + 1. */
inline claim_first(q, c)
{
	do
	:: len(queue[q]) > 0 ->
		d_step {
			queue[q]?node;
			assert(alive[node]);
			if
#if defined(BROKEN_NO_CLAIM) || defined(BROKEN_CLAIM_LATE)
			:: true -> peer = node + 1
#else
			:: outcome[node] == PENDING ->
				peer = node + 1;
				outcome[node] = WOKEN;
				taken[node] = c
			:: outcome[node] != PENDING
#endif
			fi;
			node = 0
		}
		if
		:: peer -> break
		:: !peer
		fi
	:: len(queue[q]) == 0 -> break
	od
}

/* weft__chan_step_locked(). Sets ok, and peer if there is one to be woken. */
inline step_locked(c, op)
{
	if
	:: op == SENDS ->
		claim_first(c * 2 + 1, c);
		if
		:: peer -> direct = true; ok = true
		:: !peer && count[c] < CAPACITY -> count[c]++; ok = true
		:: !peer && count[c] == CAPACITY
		fi
	:: op == RECVS && count[c] == 0 ->
		claim_first(c * 2, c);
		if
		:: peer -> direct = true; ok = true
		:: !peer
		fi
	:: op == RECVS && count[c] > 0 ->
#ifndef BROKEN_NO_REFILL
		claim_first(c * 2, c);
#endif
		if
		:: peer /* its element takes the place of ours in the buffer */
		:: !peer -> count[c]--
		fi;
		ok = true
	fi
}

/* weft__chan_finish() */
inline finish(c, op)
{
	done[me] = done[me] + (op == SENDS -> 1 : 16);
#ifdef BROKEN_CLAIM_LATE
	if
	:: peer -> d_step { assert(alive[peer - 1]); outcome[peer - 1] = WOKEN; taken[peer - 1] = c }
	:: !peer
	fi;
#endif
	if
	:: peer ->
#ifndef BROKEN_COPY_LATE
		atomic {
			assert(alive[peer - 1] && !(direct && partner[peer - 1]));
			partner[me] = (direct -> peer : 0);
			partner[peer - 1] = (direct -> me + 1 : 0)
		}
#endif
		signalled[peer - 1] = true;
#ifdef BROKEN_COPY_LATE
		assert(alive[peer - 1]);
#endif
	:: !peer
	fi
}

/* Goes to `out` if the step was taken. */
inline try(c, op)
{
	lock(c);
	step_locked(c, op);
	locked[c] = false;
	if
	:: ok -> finish(c, op); goto out
	:: else
	fi
}

inline enqueue_locked(c, op)
{
	if
	:: op != NEITHER -> queue[c * 2 + op - 1]!me
	:: else
	fi
}

/* Takes the node out if it is still in. */
inline dequeue_locked(c, op)
{
	if
	:: op != NEITHER && queue[c * 2 + op - 1]??[eval(me)] -> queue[c * 2 + op - 1]??eval(me)
	:: else
	fi
}

/* take_locked(), under all locks, for a channel that looked ready once it was locked. */
inline look_again(c, op, looked)
{
	if
	:: !ok && looked ->
		step_locked(c, op);
		if
		:: ok -> with = c
		:: else
		fi
	:: else
	fi
}

proctype actor(byte me, op_0, op_1)
{
	byte peer, node, with;
	bool ok, direct, patient, looked_0, looked_1;

	/* take_ready() */
	do
	:: LOOKS_READY(0, op_0) -> try(0, op_0)
	:: LOOKS_READY(1, op_1) -> try(1, op_1)
	:: !LOOKS_READY(0, op_0) && !LOOKS_READY(1, op_1) -> break
	od;

	/* wait_for_one(), or wait_locked() of one channel */
#ifdef BROKEN_ONE_BY_ONE
	alive[me] = true;
	if
	:: op_0 != NEITHER ->
		lock(0);
		look_again(0, op_0, LOOKS_READY(0, op_0));
		if
		:: !ok -> enqueue_locked(0, op_0)
		:: else
		fi;
		locked[0] = false
	:: else
	fi;
	if
	:: op_1 != NEITHER && !ok ->
		lock(1);
		look_again(1, op_1, LOOKS_READY(1, op_1));
		if
		:: !ok -> enqueue_locked(1, op_1)
		:: else
		fi;
		locked[1] = false
	:: else
	fi;
	if
	:: ok && with == 0 -> finish(0, op_0); goto out
	:: ok && with == 1 -> finish(1, op_1); goto take_out
	:: else
	fi;
#else
	if
#ifdef BROKEN_LOCK_AS_GIVEN
	:: me == 1 ->
		lock(1);
		looked_1 = LOOKS_READY(1, op_1);
		lock(0);
		looked_0 = LOOKS_READY(0, op_0)
	:: me != 1 ->
#else
	:: true ->
#endif
		/* lock_and_look() */
		if
		:: op_0 != NEITHER -> lock(0); looked_0 = LOOKS_READY(0, op_0)
		:: else
		fi;
		if
		:: op_1 != NEITHER -> lock(1); looked_1 = LOOKS_READY(1, op_1)
		:: else
		fi
	fi;
#ifndef BROKEN_NO_SECOND_LOOK
	if
	:: true -> look_again(0, op_0, looked_0); look_again(1, op_1, looked_1)
	:: true -> look_again(1, op_1, looked_1); look_again(0, op_0, looked_0)
	fi;
#endif
	if
	:: ok ->
		atomic {
			locked[0] = (op_0 == NEITHER && locked[0]);
			locked[1] = (op_1 == NEITHER && locked[1])
		}
		if
		:: with == 0 -> finish(0, op_0)
		:: with == 1 -> finish(1, op_1)
		fi;
		goto out
	:: else
	fi;
	/* unlock_all(). Each channel is unlocked as soon as the node is enqueued there. */
	alive[me] = true;
	enqueue_locked(0, op_0);
	locked[0] = (op_0 == NEITHER && locked[0]);
	enqueue_locked(1, op_1);
	locked[1] = (op_1 == NEITHER && locked[1]);
#endif
	/* weft__wait() */
	if
	:: patient = true
	:: true
	fi;
	if
	:: signalled[me]
	:: atomic {
#ifdef BROKEN_GIVE_UP_ANYWAY
		!patient || over ->
#else
		(!patient || over) && outcome[me] == PENDING ->
#endif
		outcome[me] = GAVE_UP
	}
	fi;
take_out:
#ifndef BROKEN_LEAVE_NODE
	/* dequeue_all(). The node that was claimed is out already. */
	if
	:: op_0 != NEITHER -> lock(0); dequeue_locked(0, op_0); locked[0] = false
	:: else
	fi;
	if
	:: op_1 != NEITHER -> lock(1); dequeue_locked(1, op_1); locked[1] = false
	:: else
	fi;
#endif
	if
	:: outcome[me] == WOKEN ->
		op_0 = (taken[me] == 0 -> op_0 : op_1);
		done[me] = done[me] + (op_0 == SENDS -> 1 : 16)
	:: else
	fi;
out:
	atomic {
		alive[me] = false;
		assert(done[me] == 0 || done[me] == 1 || done[me] == 16);
		assert(!partner[me] || partner[partner[me] - 1] == me + 1)
	}
}

#define WAIT(c, op) len(queue[(c) * 2 + (op) - 1])

init {
	atomic {
		run actor(0, SENDS, RECVS);
		run actor(1, RECVS, SENDS);
		if
		:: run actor(2, SENDS, NEITHER)
		:: run actor(2, RECVS, NEITHER)
		fi;
#ifdef FOURTH
#if FOURTH == 2
		if
		:: run actor(3, NEITHER, SENDS)
		:: run actor(3, NEITHER, RECVS)
		fi
#else
		if
		:: run actor(3, SENDS, RECVS)
		:: run actor(3, RECVS, SENDS)
		:: run actor(3, SENDS, SENDS)
		:: run actor(3, RECVS, RECVS)
		fi
#endif
#endif
	}
	if
	:: _nr_pr == 1
	:: timeout -> /* and no two that wait could have met */
		assert(!(WAIT(0, SENDS) && WAIT(0, RECVS) || WAIT(1, SENDS) && WAIT(1, RECVS)));
		assert(!(WAIT(0, RECVS) && count[0] || WAIT(1, RECVS) && count[1]));
		assert(!(WAIT(0, SENDS) && count[0] < CAPACITY || WAIT(1, SENDS) && count[1] < CAPACITY));
		over = true
	fi;
	_nr_pr == 1;
	d_step {
		byte i, sum;
		do
		:: i < ACTORS -> sum = sum + done[i]; i++
		:: else -> break
		od;
		assert((sum & 15) == (sum >> 4) + count[0] + count[1])
	}
}
