/* SPDX-License-Identifier: MIT */
/*
 * DUE, the flag for work that is due while workers are busy. No injected task may wait for a pick
 * that does not look for it.
 *
 * Mirrors:
 *  - sched/core/due.c: weft__set_due(), weft__clear_due(), weft__announce_due();
 *  - sched/core/pick.c: pick_specially(), weft__from_injection();
 *  - sched/core/find.c: serve_due(), look_around();
 *  - sched/core/sleepers.h: push_sleeper_locked();
 *  - sched/core/rouse.c: weft__wake_one(), weft__hand_to_sleeper();
 *  - sched/core/idle.c: weft__search_stop(), await_rouse(), weft__get_up();
 *  - sched/core/ready.c: weft__inject().
 *
 * The actors:
 *  - Two workers. The first one runs a long task. A worker that searches may find one more long
 *    task.
 *  - Two threads that inject one task each. Before or after that, the second thread also hands a
 *    long task to a sleeping worker, if there is one.
 *
 * Long tasks pick again and again, and their picks look only for DUE. Long tasks end when all
 * injected tasks have started. Injected tasks are short.
 *
 * Invariants: an injected task that nobody will take is a deadlock. While DUE is set, no worker
 * sleeps.
 *
 * Bounds: as above. The threads' stores to the queue go through store buffers. A take from the
 * queue is one step (inject.pml has its parts). A section under idle_lock is one step. Searchers
 * run no timers.
 *
 * Broken:
 *  - LIGHT: a thread that injects has only a light fence.
 *  - LOOK_FIRST: a worker that serves DUE looks into the queue before it clears DUE.
 *  - NO_LEFT: a worker that takes a task does not announce the tasks that it leaves.
 *  - NO_LOOK: the last searcher does not look into the queue if nobody sleeps.
 *  - FORGET: a caller finds that the sleeper it would wake is gone, and does not set DUE.
 *  - SET_ANYWAY: DUE is set although a worker sleeps.
 *  - KEEP: a worker that goes to sleep does not clear DUE.
 */
#define STORERS 2
#define FENCERS 1
#define CELLS   2 /* each thread's task is in the queue */
#define DEPTH   1

#include "tso.h"

byte searchers;
bool due;
#include "sleep_state.h"
byte state[2]; /* enum sleep_state */
bool taken[2];
bool other;   /* a searcher has found the other long task */
byte started; /* ghost */

#define SLEEPERS (LISTED(0) || LISTED(1))
#define LEFT     ((cell[0] && !taken[0]) || (cell[1] && !taken[1]))
#define OVER     (started == 2)

/* Takes an injected task if there is one, and then sets t to 1. */
inline from_injection()
{
	atomic {
		if
		:: cell[0] && !taken[0] -> taken[0] = true; t = 1; started++
		:: cell[1] && !taken[1] -> taken[1] = true; t = 1; started++
		:: else
		fi
	}
#ifndef BROKEN_NO_LEFT
	if
	:: t && LEFT -> announce_due()
	:: else
	fi
#endif
}

inline wake_searcher()
{
	atomic {
		if
		:: searchers -> again = false
		:: !searchers && LISTED(0) -> searchers++; state[0] = ROUSED_TO_SEARCH; again = false
		:: !searchers && LISTED(1) -> searchers++; state[1] = ROUSED_TO_SEARCH; again = false
		:: else
#ifdef BROKEN_FORGET
			again = false
#endif
		fi
	}
}

inline set_due()
{
	atomic {
		if
#ifndef BROKEN_SET_ANYWAY
		:: SLEEPERS -> skip
#endif
		:: else -> due = true; again = false; assert(!SLEEPERS)
		fi
	}
}

inline announce_due()
{
	again = true;
	do
	:: again && searchers -> again = false
	:: again && !searchers && SLEEPERS -> wake_searcher()
	:: again && !searchers && !SLEEPERS -> set_due()
	:: !again -> break
	od
}

inline search_stop()
{
	atomic { searchers--; last = (searchers == 0); state[me] = RUNNING }
#ifdef BROKEN_NO_LOOK
	last = last && SLEEPERS;
#endif
	if
	:: last && LEFT -> announce_due()
	:: else
	fi;
	last = false
}

inline await_rouse()
{
	atomic {
		ROUSED(me) ->
		if
		:: state[me] == ROUSED_WITH_TASK && !fast_asleep -> searchers++; state[me] = SEARCHING; t = 2
		:: state[me] == ROUSED_WITH_TASK && fast_asleep -> state[me] = RUNNING; t = 2
		:: state[me] == ROUSED_TO_SEARCH -> state[me] = SEARCHING
		fi
	}
}

proctype worker(byte me)
{
	byte t;
	bool last, again, fast_asleep;

	if
	:: me == 0 -> goto compute
	:: else
	fi;
find:
	if
	:: OVER -> goto out
	:: else
	fi;
	due = false;
	from_injection();
	if
	:: t -> goto found
	:: else
	fi;
	if
	:: state[me] != SEARCHING -> atomic { searchers++; state[me] = SEARCHING }
	:: true
	fi;
	if
	:: state[me] == SEARCHING ->
		from_injection();
		if
		:: t -> goto found
		:: !t && !other -> other = true; t = 2; goto found
		:: !t
		fi
	:: else
	fi;
	atomic {
		searchers = searchers - (state[me] == SEARCHING);
		state[me] = LOOKING_LAST;
#ifndef BROKEN_KEEP
		due = false;
#endif
		assert(!due)
	}
	from_injection();
	if
	:: t ->
		if
		:: atomic { LISTED(me) -> searchers++; state[me] = SEARCHING }
		:: !LISTED(me) -> await_rouse()
		fi;
		goto found
	:: else
	fi;
	atomic { fast_asleep = LISTED(me); state[me] = (LISTED(me) -> ASLEEP : state[me]) };
	if
	:: await_rouse()
	:: OVER -> goto out
	fi;
	fast_asleep = false;
	if
	:: t -> goto found
	:: else -> goto find
	fi;
found:
	if
	:: state[me] == SEARCHING -> search_stop()
	:: else
	fi;
	if
	:: t == 1 -> t = 0; goto find
	:: else
	fi;
compute:
	t = 0;
	do
	:: due ->
#ifdef BROKEN_LOOK_FIRST
		from_injection();
		due = false;
#else
		due = false;
		from_injection();
#endif
		t = 0
	:: OVER -> break
	od;
out:
	skip
}

inline hand()
{
	atomic {
		if
		:: !searchers && LISTED(0) -> state[0] = ROUSED_WITH_TASK
		:: !searchers && LISTED(1) -> state[1] = ROUSED_WITH_TASK
		:: else
		fi
	}
}

proctype thread(byte me)
{
	bool again, early;

	if
	:: me == 1 -> early = true; hand()
	:: true
	fi;
	STORE(me, me, 1);
#ifndef BROKEN_LIGHT
	DRAINED(me);
#endif
	announce_due();
	if
	:: me == 1 && !early -> hand()
	:: else
	fi
}

init {
	atomic {
		run worker(0);
		run worker(1);
		run thread(0);
		run thread(1)
	}
}
