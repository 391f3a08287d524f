/* SPDX-License-Identifier: MIT */
/*
 * A direction of a descriptor. No reader may wait while there is something to read, and no system
 * call may be made on a number that belongs to another file by now.
 *
 * Mirrors:
 *  - sched/io/descriptor.c: weft__direction_try(), weft__direction_join(),
 *    weft__direction_edge(), weft__direction_pass_on(), weft__direction_quit(),
 *    weft__descriptor_begin_close(), weft__descriptor_end_close();
 *  - sched/io/call.c: weft__io_call(), weft__io_enter().
 *
 * The actors:
 *  - A writer puts two bytes into the file, each with an edge.
 *  - Two readers read one byte each. Without CLOSE, the first one may be
 *    cancelled while it waits.
 *  - A poller delivers the edges.
 *  - With CLOSE, a closer closes the descriptor at any time. The number then belongs to another
 *    file, which has two bytes. The writer writes to the first file only.
 *
 * Invariants: a reader that is never woken is a deadlock. A system call meets the file that its
 * caller has seen first.
 *
 * Bounds: as above. What is done under the direction's lock is one step. The descriptor is in the
 * poller from the beginning.
 *
 * Broken:
 *  - CLEAR_LATE: a reader clears `ready` after its system call.
 *  - NO_PASS_ON: a reader that has left something does not pass on.
 *  - LOOK_UNLOCKED: a reader looks at `ready` and then joins in another step.
 *  - EDGE_NO_TAKE: an edge sets `ready`, and wakes nobody.
 *  - CANCEL_EATS: a reader that was woken and cancelled returns without another try.
 *  - NO_GENERATION: a reader does not look whether the file is still the same.
 *  - NO_CALLS: the closer does not wait for the callers that are inside.
 *  - EXPEL_ONCE: the closer wakes the waiters only before it waits for the callers.
 */
#define READERS 2

byte data;
bool edge;  /* the system has an edge for the poller */
bool ready;
bool waits[READERS], woken[READERS], expelled[READERS];
bool cancelled;
byte calls;
bool closing;
byte generation, file; /* of the state, and of the number */
byte done;             /* ghost: readers that have ended */

#define OVER (done == READERS)

/* Under the lock. */
inline take_one()
{
	if
	:: waits[0] -> waits[0] = false; woken[0] = true
	:: !waits[0] && waits[1] -> waits[1] = false; woken[1] = true
	:: else
	fi
}

inline expel()
{
	atomic {
		if
		:: waits[0] -> waits[0] = false; woken[0] = true; expelled[0] = true
		:: else
		fi;
		if
		:: waits[1] -> waits[1] = false; woken[1] = true; expelled[1] = true
		:: else
		fi
	}
}

proctype reader(byte me)
{
	bool was_ready, got, begun;
	byte seen;

again:
	/* weft__io_enter() */
	atomic { !closing -> calls++ }
	if
	:: !begun -> seen = generation; begun = true
	:: begun && seen != generation ->
#ifndef BROKEN_NO_GENERATION
		calls--;
		goto over
#else
		skip
#endif
	:: else
	fi;
	/* weft__direction_try() */
	atomic {
		was_ready = ready;
#ifndef BROKEN_CLEAR_LATE
		ready = false
#endif
	}
	got = false;
	if
	:: was_ready ->
		/* the system call */
		atomic {
			assert(file == seen);
			if
			:: data > 0 -> data--; got = true
			:: else
			fi
		}
#ifdef BROKEN_CLEAR_LATE
		ready = false
#endif
	:: else
	fi;
	if
	:: got ->
#ifndef BROKEN_NO_PASS_ON
		atomic { ready = true; take_one() };
#endif
		calls--;
		goto over
	:: else
	fi;
	/* weft__direction_join() */
#ifdef BROKEN_LOOK_UNLOCKED
	was_ready = ready;
	atomic {
		if
		:: was_ready -> calls--; goto again
		:: else -> waits[me] = true
		fi
	};
#else
	atomic {
		if
		:: ready -> calls--; goto again
		:: else -> waits[me] = true
		fi
	};
#endif
	calls--;
	if
	:: atomic { woken[me] -> woken[me] = false };
		if
		:: expelled[me] -> goto over
		:: else
		fi;
#ifdef BROKEN_CANCEL_EATS
		if
		:: me == 0 && cancelled -> goto over
		:: else
		fi;
#endif
		goto again
	:: atomic { me == 0 && cancelled && waits[me] -> waits[me] = false }
	fi;
over:
	done++
}

proctype poller()
{
	byte whose;

	do
	:: atomic { edge -> edge = false; whose = file };
		atomic {
			if
			:: whose == generation ->
				ready = true;
#ifndef BROKEN_EDGE_NO_TAKE
				take_one()
#endif
			:: else
			fi
		}
	:: OVER && !edge -> break
	od
}

inline put()
{
	atomic {
		if
		:: file == 0 -> data++; edge = true
		:: else
		fi
	}
}

proctype writer()
{
	put();
	put()
}

proctype closer()
{
	closing = true;
	expel();
#ifndef BROKEN_NO_CALLS
	do
	:: calls == 0 -> break
	:: calls > 0 -> expel()
	od;
#endif
#ifndef BROKEN_EXPEL_ONCE
	expel();
#endif
	/* Another thread gets the number for another file. */
	atomic { file++; data = 2; edge = false };
	/* The new file is not in the poller, so readers do not rely on `ready`. */
	atomic { generation++; ready = true };
	closing = false
}

init {
	atomic {
		run reader(0);
		run reader(1);
		run poller();
		run writer();
#ifdef CLOSE
		run closer()
#else
		if
		:: cancelled = true
		:: skip
		fi
#endif
	}
}
