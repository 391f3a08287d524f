/* SPDX-License-Identifier: MIT */
/*
 * The worker: a thread of the pool with its queues.
 *
 * The record outlives its thread, and stays in place until the runtime is destroyed. Plain threads
 * touch its inbox and its futex without being RCU readers.
 *
 * Access rules. In struct worker, struct weft_runtime and struct task a letter in front of each
 * field, or of a group of fields, says who may access it:
 *
 *   I   Immutable: it is set before any other thread sees the struct.
 *   O   Its owner only. A worker's owner is the worker's thread. A task's owner is whoever owns the
 *       task in its present state (task.h).
 *   S   The owner writes it, and any thread reads it. It is atomic, and mostly relaxed.
 *   A   Any thread reads and writes it. It is atomic. The file that is named has the protocol.
 *   L   Under runtime.idle_lock.
 *   N   Under runtime.admin.
 *   V   Under runtime.starved_lock.
 *   X   Under runtime.outside_lock.
 *   Lr  Written under that lock, and read by any thread. It is atomic. Nr and Vr likewise.
 *   P   A part with a protocol of its own. Its header has it.
 */
#ifndef WEFT_CORE_WORKER_H
#define WEFT_CORE_WORKER_H

#include "chaos_state.h"
#include "counters.h"
#include "sched/queue/deque.h"
#include "sched/queue/ring.h"
#include "sched/queue/urcu.h"
#include "src/base/atomic.h"
#include "src/base/random.h"
#include "task.h"
#include "task_pool.h"
#include "timer.h"

#include <pthread.h>

/* After a switch, the code that runs next on this thread finishes the suspension of its
 * predecessor, whose context is saved only then. This says what there is to do. */
enum fate {
	FATE_NONE,  /* it is the leader; only this thread resumes it */
	FATE_PARK,  /* outgoing.task: SUSPENDING → PARKED */
	FATE_QUEUE, /* outgoing.task: to the tail of the ready ring */
	FATE_KEEP,  /* outgoing.coro has lost its task: keep it for another one */
	FATE_FREE,  /* outgoing.coro has lost its task, and its stack is uncommon: free it */
};

/* What is outgoing: switched away from, and not yet settled (execute.c). */
struct worker_outgoing {
	enum fate fate;
	struct task *task;
	struct coro *coro;
	struct reserve *reserve; /* FATE_FREE: the reserve of coro's stack size */
};

/* Where forks may run as calls (fork.c): while the stack pointer is above `floor`, and at most
 * `span` bytes above it. */
struct worker_inlining {
	char *floor;
	size_t span;
	int32_t patience; /* inline joins left until it looks at other tasks (patience.c) */
};

/* How long its task may go on without suspending (patience.c). */
struct worker_patience {
	int32_t left;   /* fast paths left until it looks at other tasks */
	uint32_t looks; /* counts these looks */
	/* When its running task was seen, and counters.switches then. */
	uint64_t looked_switches;
	int64_t looked_at;
	/* When a task that makes no picks last resumed after it gave way. */
	int64_t gave_way_at;
};

/* Coroutines without a task, of the common stack size (coros.c). */
struct worker_coros {
	struct coro *first; /* hot ones first, linked by .next */
	struct coro *chain; /* another DEPOT_CHAIN of them, or NULL */
	unsigned count;     /* how many there are behind .first */
	unsigned cold;      /* how many of them, at the end, come from the depot */
	unsigned trims;     /* how many calls of weft_trim() it has obeyed */
};

/* The next pick (pick.c, find.c). */
struct worker_pick {
	bool fair;                 /* the leader makes it, a fair one */
	bool due;                  /* with .fair: it serves what is due */
	bool put_off;              /* the leader makes it, as it was put off */
	bool overflowed;           /* the ring's tail is in the injection queue */
	uint8_t fair_turn;         /* the source that the next fair pick tries first */
	uint32_t served_at;        /* .picks when it last served what was due */
	struct task *put_off_task; /* what the pick that was put off has taken already, or NULL */
};

/* What else it has to do, whether it runs tasks, searches or sleeps. */
struct worker_duties {
	bool timer_armed; /* it announces a deadline that the sleepers do not know of */
	bool watches;     /* it is the one watcher: runtime.watching is set by it */
	bool starving;    /* it asks for a stack again: the last request was refused (starve.c) */
	/* It hands over its tasks and ends: life.retiring as it was last seen. It does not change
	 * while the worker is on the list of sleepers, and wakers read it then. */
	bool retires;
};

/* Its searches (find.c). */
struct worker_idle {
	uint8_t shorts;     /* one bit for each of the last times without work: was it short? */
	int64_t since;      /* when its searches began to be in vain; 0: they are not in vain */
	int64_t next_watch; /* when it looks at the next slots again while it searches */
};

/* What it has stolen from rings, and when it does so again (steal.c). */
struct worker_thief {
	bool avoids_rings;   /* the last decision: leaves rings alone */
	unsigned loot_count; /* how many tasks it stole last */
	int64_t loot_since;  /* when that was, if it has not searched since; else 0 */
	int64_t avoid_until; /* it leaves rings alone until then */
	int64_t avoid_ns;    /* for how long it did so after the last loot that was too short */
};

/* Numbers for tasks (identity.h). */
struct worker_numbers {
	uint64_t next, end; /* the rest of its block of numbers */
	uint64_t base;      /* the first number of its first block; 0: it has taken none */
};

/* The next slot: the task that became runnable last (watch.c). There is one watcher at a time. */
struct worker_slot {
	_Atomic(struct task *) task; /* A: the owner puts, the owner and a watcher take */
	_Atomic bool taking;         /* S: the owner is taking from it; a watcher reads */
	_Atomic bool raided;         /* written by a watcher, read by the owner: it may take */
	/* The watcher's: since when it has seen something in next slot or deque, with this count of
	 * picks. 0: it has seen nothing. */
	uint32_t watched_picks;
	int64_t watched_since;
};

/*
 * Whether a worker searches or sleeps. idle.c has the picture of these states. In LOOKING_LAST and
 * ASLEEP it is on the list of sleepers. Only a holder of idle_lock takes it off, and only that
 * thread moves it on from TAKEN. All other steps are the owner's.
 */
enum sleep_state {
	RUNNING,          /* it runs tasks, or looks into its own queues */
	SEARCHING,        /* it looks everywhere, and counts as a searcher */
	LOOKING_LAST,     /* it counts as a sleeper, and looks everywhere for the last time */
	ASLEEP,           /* fast asleep: it waits, and answers for nothing (rouse.c) */
	TAKEN,            /* its waker has taken it off the list, and is about to rouse it */
	ROUSED_TO_SEARCH, /* it counts as a searcher */
	ROUSED_TO_WATCH,  /* it counts as a searcher, and is the watcher */
	ROUSED_WITH_TASK, /* sleep.handed is for it, unless a searcher is faster */
};

/* Its place in the list of sleepers, and what a waker leaves there (sleepers.h, rouse.c). What is L
 * is the owner's once it is awake. */
struct worker_sleep {
	struct worker *next; /* L: in the list */
	int64_t roused_at;   /* when it was woken (the waker; then the owner, once it is awake) */
	/* A: the task that a waker hands over, under the lock. The owner and searchers take it. */
	_Atomic(struct task *) handed;
	/* A: an enum sleep_state, and the futex on which it sleeps. */
	_Atomic uint32_t state;
};

/* workers.c has the picture of these states. */
enum worker_state {
	WORKER_NEW,      /* no thread */
	WORKER_RUNNING,  /* has a thread */
	WORKER_RETIRING, /* has a thread, which will end once it has handed over its tasks */
	WORKER_GONE,     /* the thread ends and no longer touches the record; to be joined */
};

/* Its thread's beginning and end (workers.c). */
struct worker_life {
	enum worker_state state; /* N */
	_Atomic bool retiring;   /* Nr: .state is RETIRING; for the owner */
	pthread_t thread;        /* N */
};

/* Each group with a writer of its own starts a cache line: tests/sched/core/layout.c. */
struct worker {
	/* I */
	struct weft_runtime *rt;
	uint16_t id;
	uint64_t holder_hint; /* (id + 1) << 32: tells in a mutex which worker holds it */

	/* O. Its thread's fields are set when that thread starts. The first two lines are hot. */
	struct task *task; /* the task that runs here; NULL: the leader */
	struct task *over; /* the last task that ended here; only its address is used */
	struct worker_inlining inlining;
	struct coro *leader; /* the thread's own stack */
	int *errno_location; /* the thread's errno */
	/* The state that the C++ runtime keeps of the thread. Never NULL: without that runtime it
	 * is an empty one. */
	struct eh_globals *eh_globals;
	struct weft__thread *thread_state; /* the thread's; stale after a switch, as w is */
	struct worker_outgoing outgoing;
	struct worker_coros coros;
	struct worker_pick pick;
	struct worker_duties duties;
	struct worker_idle idle;
	struct worker_patience patience;
	struct worker_thief thief;
	unsigned pinned; /* live tasks that are pinned to this worker */
	struct weft__random random;
	struct worker_numbers numbers;
	struct task_pool tasks; /* P: other threads give blocks back */

	struct counters counters; /* S */

	struct weft__deque deque; /* P: unstarted tasks */
	struct weft__ring ring;   /* P: started tasks that are runnable again */
	_Alignas(64) struct worker_slot slot;
	_Atomic uint32_t picks;  /* S: how many picks; the watcher sees that the owner picks */
	struct weft__wfcq inbox; /* P: tasks for this worker and no other */
	struct timers timers;    /* P: deadlines of waits */
	struct timers scopes;    /* P: deadlines of scopes (scope.h) */
	struct worker_sleep sleep;
	struct worker_life life;
	struct chaos chaos; /* P (chaos_state.h) */
};

#endif
