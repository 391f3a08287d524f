/* SPDX-License-Identifier: MIT */
/*
 * Workers that sleep and are woken. No task stays in a queue while a worker sleeps that could run
 * it, and a closing runtime ends.
 *
 * Mirrors:
 *  - sched/core/sleepers.h: push_sleeper_locked(), take_sleeper_locked();
 *  - sched/core/rouse.c: rouse(), weft__wake_one(), weft__announce(), weft__hand_to_sleeper(),
 *    weft__announce_slot(), weft__nudge(), weft__wake_all();
 *  - sched/core/idle.c: weft__search_start(), look_at_workers(), weft__search_stop(),
 *    weft__sleep_announce(), await_rouse(), weft__get_up(), must_get_up(), weft__sleep();
 *  - sched/core/watch.c: weft__watch(), weft__watch_between(), weft__watch_stop();
 *  - sched/core/find.c: weft__find(), look_around(), search(), or_handed();
 *  - sched/core/rouse.h: from_hand();
 *  - sched/core/pick.c: weft__from_injection();
 *  - sched/core/steal.c: weft__steal();
 *  - sched/core/ready.c: weft__ready(), weft__ready_tail(), weft__inject(),
 *    weft__inject_from_outside(), to_inbox();
 *  - sched/core/stop.c: weft__all_ended(), weft__stop(), weft__stop_if_over();
 *  - sched/core/lifetime.c: weft_runtime_destroy();
 *  - sched/core/ready.h: weft__start_later_unpinned(), which takes the look at idle before it calls
 *    anything.
 *
 * The actors:
 *  - WORKERS workers. The first one runs a task that makes another task visible, in the place that
 *    PUT names: in its ring, its next slot, the injection queue, or its slot for the second time.
 *    Without PUT it is any of these. With PINNED, the task makes one more task visible, in the last
 *    worker's inbox.
 *  - A plain thread. It injects OUTSIDE tasks and then, with CLOSING, destroys the runtime.
 *  - With IDLE no worker runs anything at first.
 *
 * Every unpinned task computes until all of them have started. So each needs a worker of its own.
 *
 * Invariants:
 *  - A state in which nobody can go on is a deadlock, unless all tasks have started and, with
 *    CLOSING, all workers have ended.
 *  - When the runtime is stopped, nothing is live.
 *  - A worker that is taken off the list of sleepers once is roused once.
 *
 * Bounds: as above; 3 workers. At most SEARCHERS of them search at a time. This may be exceeded, as
 * in the C code.
 *
 * Plain stores that go through store buffers: the ring's tail, the filling of a slot, the links of
 * injection queue and inbox, the counts of ended tasks, `closing`, and the clearing of `watching`.
 * Locked instructions change idle, exchange a slot, and do what the holder of a lock does. A
 * section under idle_lock is one step.
 *
 * Simplified: the list of sleepers is a set. Any sleeper is woken or handed a task, not only the
 * last one, and also the keeper (keeper.pml has the rule that it is not). A take from the ring or
 * from the injection queue is one step (ring.pml, inject.pml). Naps may end at any time. A watcher
 * takes a filled slot, watches on, or stops watching, without a count of picks.
 *
 * Not modelled: deadlines and their keeper (keeper.pml), workers that retire (retire.pml),
 * starvation for stacks, and the counts when a runtime closes (end.pml).
 *
 * Broken:
 *  - OUTSIDE_LIGHT: the plain thread's fence is light, like a worker's.
 *  - NO_HEAVY: a worker goes to sleep without the heavy fence, also while others are awake.
 *  - NO_RECHECK: the sleeper does not take the last look at the workers' queues.
 *  - NO_RECHECK_INBOX: the sleeper does not take the last look at inbox and injection queue.
 *  - LOOK_FIRST: the last look comes before the sleeper is announced.
 *  - ANNOUNCE_FIRST: idle is read before the task is stored.
 *  - NO_LOOK_AROUND: the last searcher that finds something looks no further.
 *  - NO_LOOK_FENCE: the last searcher looks without the heavy fence.
 *  - LEAVE_LATE: a searcher that goes to sleep leaves the count of searchers only after its last
 *    look.
 *  - NO_WATCH: no sleeper watches the slots.
 *  - WATCH_NO_LOOK: a watcher that stops does not look again.
 *  - KEEP_WATCHING: a watcher that finds work still counts as a watcher.
 *  - WATCH_STOPS_LATE: it stops counting as a watcher only after its look around.
 *  - BETWEEN_FOR_GOOD: a searcher that looks at the slots leaves `watching` set.
 *  - NUDGE_FIRST: the state is read before the inbox is filled.
 *  - HAND_COUNTED: a sleeper that is handed a task counts as a searcher for a moment.
 *  - HAND_UNSETTLED: a sleeper that is handed a task before it has finished its last look does not
 *    become a searcher.
 *  - HAND_WATCHES: a watcher that is handed a task still counts as a watcher.
 *  - HAND_DROPPED: a worker that is handed a task while it finds another one forgets it.
 *  - NOT_OVER: a worker that goes to sleep does not look whether a closing runtime is over.
 */
#ifndef WORKERS
#define WORKERS 3 /* or 2 */
#endif

#ifndef SEARCHERS
#define SEARCHERS 1
#endif
#ifndef OUTSIDE
#define OUTSIDE 1
#endif
#ifdef IDLE
#define FIRST    3 /* none of them */
#define UNPINNED OUTSIDE
#else
#define FIRST    0
#define UNPINNED (2 + OUTSIDE)
#endif

#define STORERS   4
#define FENCERS   4
#define DEPTH     2
#define THREAD    3 /* the plain thread's store buffer */
#define TAIL(w)   (w)
#define SLOT(w)   (3 + (w))
#define LINK(i)   (6 + (i))
#define INBOX     9 /* of the last worker */
#define WATCHING  10
#define CLOSED    11
#define ENDED(w)  (12 + (w))
#define SPAWNED   15 /* by worker 0 */
#define FENCERS_STORE
#define CELLS     16
#define PIN       (WORKERS - 1)
#ifdef PINNED
#define HAS_PINNED 1
#else
#define HAS_PINNED 0
#endif

#include "tso.h"

byte head[3];
byte inj_head, inj_tail;
bool inbox_taken;
byte searchers;
#include "sleep_state.h"
byte state[3];      /* enum sleep_state */
bool handed[3];     /* a task that only this worker holds, or a worker that steals it */
bool stopped;
byte submitted = 1; /* injected_spawned: worker 0 has a task from the beginning */
byte started = 1 - FIRST / 3; /* ghost */
byte live = 1;      /* ghost */

#define SLEEPERS (LISTED(0) || LISTED(1) || LISTED(2))
#define LAST_AWAKE(me) \
	((me == 0 || LISTED(0)) && (me == 1 || LISTED(1)) && \
	 (me == 2 || LISTED(2) || WORKERS == 2))

inline wake_one(me, for_slot)
{
	atomic {
		DRAINED(me) ->
		if
		:: searchers == 0 && LISTED(0) -> target = 1
		:: searchers == 0 && LISTED(1) -> target = 2
		:: searchers == 0 && LISTED(2) -> target = 3
		:: else
		fi;
		if
		:: target ->
			state[target - 1] = TAKEN;
			searchers++;
			rouse_to = ROUSED_TO_SEARCH;
			if
			:: for_slot && !cell[WATCHING] -> cell[WATCHING] = 1; rouse_to = ROUSED_TO_WATCH
			:: else
			fi
		:: else
		fi
	}
	rouse()
}

/* The woken worker's next state is rouse_to. */
inline rouse()
{
	if
	:: atomic {
		target -> assert(state[target - 1] == TAKEN);
		state[target - 1] = rouse_to;
		target = 0;
		rouse_to = 0
	}
	:: !target
	fi
}

inline announce(me)
{
	LIGHT_FENCE;
	if
	:: SLEEPERS && searchers == 0 -> wake_one(me, false)
	:: else
	fi
}

inline announce_slot(me)
{
	LIGHT_FENCE;
	if
	:: SLEEPERS && searchers == 0 && !cell[WATCHING] -> wake_one(me, true)
	:: else
	fi
}

inline nudge(me, w)
{
	DRAINED(me); /* a full fence */
	if
	:: LISTED(w) ->
		atomic {
			DRAINED(me) ->
			if
			:: LISTED(w) ->
				state[w] = TAKEN;
				searchers++;
				target = w + 1;
				rouse_to = ROUSED_TO_SEARCH
			:: else
			fi
		}
		rouse()
	:: else
	fi
}

inline wake_all(me)
{
	atomic {
		DRAINED(me) -> searchers = searchers + LISTED(0) + LISTED(1) + LISTED(2);
		state[0] = (LISTED(0) -> ROUSED_TO_SEARCH : state[0]);
		state[1] = (LISTED(1) -> ROUSED_TO_SEARCH : state[1]);
		state[2] = (LISTED(2) -> ROUSED_TO_SEARCH : state[2])
	}
}

/* A thread that is no worker has a full fence. */
#define FULL_FENCE_OUTSIDE(me) me != THREAD || DRAINED(me)

inline inject(me)
{
	atomic { DRAINED(me) -> i = inj_tail; inj_tail++ };
	atomic { STORE(me, LINK(i), 1); i = 0 };
#ifndef BROKEN_OUTSIDE_LIGHT
	FULL_FENCE_OUTSIDE(me);
#endif
	announce(me)
}

inline from_outside(me)
{
	if
	:: SLEEPERS && searchers == 0 && inj_head == inj_tail ->
		atomic {
			DRAINED(me) ->
			if
			:: LISTED(0) -> target = 1
			:: LISTED(1) -> target = 2
			:: LISTED(2) -> target = 3
			:: else
			fi;
			if
			:: target ->
				state[target - 1] = TAKEN;
				rouse_to = ROUSED_WITH_TASK;
#ifdef BROKEN_HAND_COUNTED
				searchers++;
#endif
				assert(!handed[target - 1]);
				handed[target - 1] = true
			:: else
			fi
		}
#ifdef BROKEN_HAND_COUNTED
		if
		:: target -> searchers--
		:: else
		fi;
#endif
		if
		:: target -> rouse()
		:: else -> inject(me)
		fi
	:: else -> inject(me)
	fi
}

/* The task that worker 0 runs at first. It makes others runnable, then computes. */
inline first_task()
{
	if
#if !defined(PUT) || PUT == 0
	:: true ->
#ifdef BROKEN_ANNOUNCE_FIRST
		announce(me);
#endif
		mytail++;
		STORE(me, TAIL(me), mytail);
#ifndef BROKEN_ANNOUNCE_FIRST
		announce(me)
#endif
#endif
#if !defined(PUT) || PUT == 1
	:: true -> STORE(me, SLOT(me), 1); announce_slot(me)
#endif
#if !defined(PUT) || PUT == 3
	:: true ->
		STORE(me, SLOT(me), 1);
		announce_slot(me);
		/* The worker picks it again itself, unless a watcher was faster. It is short, and
		 * the next task follows. */
		t = 0;
		from_slot();
		if
		:: t -> STORE(me, SLOT(me), 1); announce_slot(me)
		:: else
		fi;
		t = 1
#endif
#if !defined(PUT) || PUT == 2
	:: true -> inject(me)
#endif
	fi;
#ifdef PINNED
#ifdef BROKEN_NUDGE_FIRST
	nudge(me, PIN);
#endif
	atomic { DRAINED(me) -> STORE(me, INBOX, 1) };
#ifndef BROKEN_NUDGE_FIRST
	nudge(me, PIN);
#endif
#endif
	skip
}

#include "idle_queues.h"

inline look_at_workers()
{
	ready = false;
	slot = false;
	i = 0;
	do
	:: atomic {
		i < WORKERS && !ready ->
		ready = (cell[TAIL(i)] != head[i]);
		slot = slot || cell[SLOT(i)];
		i++
	}
	:: else -> break
	od;
	i = 0
}

/* slot: there is a slot whose owner has picked, or has not been seen for long enough */
inline watch()
{
	select (start : 0 .. WORKERS - 1);
	do
	:: i == WORKERS || t -> break
	:: i < WORKERS && !t ->
		atomic {
			DRAINED(me) ->
			if
			:: cell[SLOT(start)] && start != me -> cell[SLOT(start)] = 0; t = 1
			:: cell[SLOT(start)] && start != me -> slot = true
			:: else
			fi;
			start = (start + 1) % WORKERS;
			i++
		}
	od;
	atomic { i = 0; start = 0 }
}

inline watch_between()
{
	atomic {
		DRAINED(me) ->
		if
		:: !cell[WATCHING] -> cell[WATCHING] = 1; watching = true
		:: else
		fi
	};
	if
	:: watching ->
		watch();
		slot = false;
#ifndef BROKEN_BETWEEN_FOR_GOOD
		STORE(me, WATCHING, 0);
#endif
		watching = false
	:: else
	fi
}

inline search_stop()
{
#if !defined(BROKEN_KEEP_WATCHING) && !defined(BROKEN_WATCH_STOPS_LATE)
	if
	:: watching -> STORE(me, WATCHING, 0); watching = false
	:: else
	fi;
#endif
	atomic {
		DRAINED(me) -> last = (searchers == 1 && SLEEPERS);
		searchers--;
		state[me] = RUNNING
	}
#ifndef BROKEN_NO_LOOK_AROUND
	if
	:: last ->
		last = false;
#ifndef BROKEN_NO_LOOK_FENCE
		heavy_fence(me);
#endif
		look_at_workers();
		slot = slot && !cell[WATCHING];
		if
		:: ready || inj_head != inj_tail || slot -> wake_one(me, slot)
		:: else
		fi;
		atomic { ready = false; slot = false }
	:: else
	fi;
#endif
#ifdef BROKEN_WATCH_STOPS_LATE
	if
	:: watching -> STORE(me, WATCHING, 0); watching = false
	:: else
	fi;
#endif
	last = false
}

#if defined(BROKEN_HAND_WATCHES)
#define ANSWERABLE (!fast_asleep)
#elif defined(BROKEN_HAND_UNSETTLED)
#define ANSWERABLE watching
#else
#define ANSWERABLE (!fast_asleep || watching)
#endif

inline await_rouse()
{
	atomic { ROUSED(me) -> watching = watching || state[me] == ROUSED_TO_WATCH }
	atomic {
		DRAINED(me) ->
		searchers = searchers + (state[me] == ROUSED_WITH_TASK && ANSWERABLE);
		state[me] = (state[me] != ROUSED_WITH_TASK || ANSWERABLE -> SEARCHING : RUNNING)
	}
}

inline or_handed()
{
	if
	:: atomic { handed[me] && t == 0 -> handed[me] = false; t = 1 }
	:: atomic { handed[me] && t -> handed[me] = false };
#ifndef BROKEN_HAND_DROPPED
		inject(me)
#endif
	:: atomic { !handed[me] -> skip }
	fi
}

inline get_up()
{
	if
	:: atomic { DRAINED(me) && LISTED(me) -> searchers++; state[me] = SEARCHING }
	:: atomic { !LISTED(me) -> fast_asleep = false };
		await_rouse()
	fi
}

inline stop_watching()
{
	STORE(me, WATCHING, 0);
#ifndef BROKEN_WATCH_NO_LOOK
	heavy_fence(me);
#endif
	watching = false
}

inline stop_if_over()
{
#if defined(CLOSING) && !defined(BROKEN_NOT_OVER)
	if
	:: cell[CLOSED] ->
		i = 0;
		do
		:: atomic { i < WORKERS -> count = count + cell[ENDED(i)]; i++ }
		:: else -> break
		od;
		i = 0;
		sum = submitted + cell[SPAWNED];
		if
		:: count == sum ->
			atomic { assert(live == 0); stopped = true };
			wake_all(me)
		:: else
		fi;
		atomic { count = 0; sum = 0 }
	:: else
	fi
#else
	skip
#endif
}

proctype worker(byte me)
{
	byte t, i, start, mytail, target, rouse_to, count, sum, ends;
	bool ready, slot, last, watching, fast_asleep, last_awake, counted;

	if
	:: me == FIRST ->
		t = 1;
#ifdef CLOSING
		atomic {
			nfull(buffer[0]) ->
			STORE(me, SPAWNED, 1 + HAS_PINNED);
			live = live + 1 + HAS_PINNED
		};
#endif
		first_task();
		goto compute
	:: else
	fi;
find:
	if
	:: stopped -> goto out
	:: else
	fi;
	from_slot();
	if
	:: t == 0 -> from_ring()
	:: else
	fi;
	from_inbox();
	from_injection(true);
	if
	:: t -> goto found
	:: else
	fi;
	/* search() */
	if
	:: state[me] != SEARCHING && searchers >= SEARCHERS -> goto going_to_sleep
	:: state[me] != SEARCHING && searchers < SEARCHERS ->
		atomic { DRAINED(me) -> searchers++; state[me] = SEARCHING }
	:: state[me] == SEARCHING
	fi;
again:	select (start : 0 .. WORKERS - 1);
	do
	:: i < WORKERS && t == 0 ->
		atomic {
			DRAINED(me) ->
			if
			:: start != me && cell[TAIL(start)] != head[start] -> head[start]++; t = 1
			:: start != me && handed[start] -> handed[start] = false; t = 1
			:: else
			fi;
			start = (start + 1) % WORKERS;
			i++
		}
	:: else -> break
	od;
	atomic { i = 0; start = 0 };
	from_inbox();
	from_injection(true);
	if
	:: t -> goto found
	:: !t
	fi;
	/* Whether it has not looked at the slots for a while. */
	if
	:: !watching -> watch_between()
	:: true
	fi;
	if
	:: t -> goto found
	:: !t -> goto again
	:: !t
	fi;
going_to_sleep:
#ifdef BROKEN_LOOK_FIRST
	look_at_workers();
#endif
	atomic {
		DRAINED(me) -> counted = (state[me] == SEARCHING);
		state[me] = LOOKING_LAST;
		last_awake = LAST_AWAKE(me);
#ifndef BROKEN_LEAVE_LATE
		searchers = searchers - counted;
		counted = false
#endif
	}
#ifndef BROKEN_NO_HEAVY
	if
	:: last_awake -> last_awake = false
	:: else -> heavy_fence(me)
	fi;
#endif
#ifndef BROKEN_NO_RECHECK_INBOX
	from_inbox();
	from_injection(false);
#endif
#ifdef BROKEN_LEAVE_LATE
	if
	:: t -> atomic { DRAINED(me) -> searchers = searchers - counted; counted = false }
	:: else
	fi;
#endif
	if
	:: t -> get_up(); goto slept
	:: else
	fi;
#if !defined(BROKEN_LOOK_FIRST) && !defined(BROKEN_NO_RECHECK)
	look_at_workers();
#endif
#ifdef BROKEN_LEAVE_LATE
	atomic { DRAINED(me) -> searchers = searchers - counted; counted = false };
#endif
	stop_if_over();
	if
	:: stopped || ready -> atomic { ready = false; slot = false }; get_up(); goto slept
	:: else
	fi;
#ifndef BROKEN_NO_WATCH
	if
	:: slot && !watching ->
		atomic {
			DRAINED(me) ->
			if
			:: !cell[WATCHING] -> cell[WATCHING] = 1; watching = true
			:: else
			fi
		}
	:: else
	fi;
#endif
	atomic {
		ready = false;
		slot = false;
		fast_asleep = LISTED(me);
		state[me] = (LISTED(me) -> ASLEEP : state[me])
	};
	do
	:: ROUSED(me) ->
		await_rouse();
		break
	:: watching -> /* the nap is over */
		watch();
		if
		:: t -> get_up(); break
		:: !t -> slot = false /* there is one, or somebody has picked: it watches on */
		:: !t && !slot ->
			stop_watching();
#ifndef BROKEN_WATCH_NO_LOOK
			look_at_workers();
			if
			:: ready || slot -> atomic { ready = false; slot = false }; get_up(); break
			:: else
			fi
#endif
		fi
#ifndef CLOSING
	:: started == UNPINNED && (inbox_taken || !HAS_PINNED) -> goto out
#endif
	od;
slept:
	atomic { slot = false; fast_asleep = false };
	or_handed();
	if
	:: t -> goto found
	:: else -> goto find
	fi;
found:
	if
	:: state[me] == SEARCHING -> search_stop()
	:: else
	fi;
	atomic { started = started + (t == 1) };
compute:
	if
	:: t == 1 -> started == UNPINNED
	:: else
	fi;
#ifdef CLOSING
	atomic { ends++; live-- };
	STORE(me, ENDED(me), ends);
#endif
	t = 0;
	goto find;
out:
	skip
}

proctype thread()
{
	byte i, n, target, rouse_to;

	do
	:: n < OUTSIDE ->
		n++;
		atomic { submitted++; live++ };
		from_outside(THREAD)
	:: n == OUTSIDE -> break
	od;
#ifdef CLOSING
	STORE(THREAD, CLOSED, 1);
	wake_all(THREAD);
	atomic { stopped -> assert(live == 0) }
#endif
}

init {
	atomic {
		run worker(0);
		run worker(1);
#if WORKERS == 3
		run worker(2);
#endif
		run thread()
	}
}
