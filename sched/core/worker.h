/* SPDX-License-Identifier: MIT */
/*
 * The worker: a thread of the pool with its queues.
 *
 * The record outlives its thread, and stays in place until the runtime is destroyed. Plain threads
 * touch its inbox and its futex without being RCU readers.
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
	FATE_PARK,  /* .outgoing: SUSPENDING → PARKED */
	FATE_QUEUE, /* .outgoing: to the tail of the ready ring */
	FATE_KEEP,  /* .outgoing_coro has lost its task: keep it for another one */
	FATE_FREE,  /* .outgoing_coro has lost its task, and its stack is uncommon: free it */
};

/* workers.c has the picture of these states. */
enum worker_state {
	WORKER_NEW,      /* no thread */
	WORKER_RUNNING,  /* has a thread */
	WORKER_RETIRING, /* has a thread, which will end once it has handed over its tasks */
	WORKER_GONE,     /* the thread ends and no longer touches the record; to be joined */
};

struct worker {
	/* immutable */
	struct weft_runtime *rt;
	uint16_t id;
	uint64_t holder_hint; /* (id + 1) << 32: tells in a mutex which worker holds it; a hint */

	/* owner only */
	struct task *task;       /* the task that runs here; NULL: the leader */
	struct task *over;       /* the last task that ended here; only its address is used */
	char *inline_floor;      /* forks may run inline while the stack pointer is above this, */
	size_t inline_span;      /* and at most this many bytes above it */
	int32_t patience;        /* fast paths left until it looks at other tasks (patience.c) */
	uint32_t looks;          /* counts these looks */
	int32_t inline_patience; /* the same for inline joins */
	struct coro *leader;     /* the thread's own stack */
	int *errno_location;     /* the thread's errno */
	/* The state that the C++ runtime keeps of the thread. Never NULL: without that runtime it
	 * is an empty one. */
	struct eh_globals *eh_globals;
	struct weft__thread *thread_state; /* the thread's; stale after a switch, as w is */
	enum fate fate;
	bool fair;           /* the leader makes the next pick, a fair one */
	bool put_off;        /* the leader makes the next pick, which was put off (pick.c) */
	bool due;            /* with .fair: that pick serves what is due */
	bool overflowed;     /* the ring's tail is in the injection queue */
	bool starving;       /* the last request for a stack was refused (starve.c) */
	bool retires;        /* .retiring as it was last seen */
	bool timer_armed;    /* a deadline was added that the sleepers do not know of */
	bool watches;        /* it is the one watcher: runtime.watching is set by it */
	bool searching;      /* counted in runtime.idle's searchers */
	bool settled;        /* fast asleep: sleeps, and answers for nothing (rouse.c) */
	uint8_t fair_turn;   /* the source that the next fair pick tries first */
	uint8_t short_idles; /* one bit for each of the last times without work: was it short? */
	bool avoids_rings;   /* the last decision: does not steal from rings (steal.c) */
	int64_t idle_since;  /* when its searches began to be in vain; 0: they are not in vain */
	/* When it last stole from a ring, if it has not searched since; else 0. */
	int64_t loot_since;
	unsigned loot_count; /* how many tasks it stole then */
	int64_t avoid_until; /* it avoids rings until then */
	/* For how long it avoided them after the last loot that was too short. */
	int64_t avoid_ns;
	int64_t next_watch;       /* when it looks at the next slots again while it searches */
	uint32_t served_at;       /* .picks when it last served what was due */
	uint64_t looked_switches; /* .switches when .looked_at was noted */
	int64_t looked_at;        /* when its running task was seen */
	/* When a task that makes no picks last resumed after it gave way. */
	int64_t gave_way_at;
	struct task *put_off_task; /* the task that this pick has taken already, or NULL */
	struct task *outgoing;
	struct coro *outgoing_coro;
	struct reserve *outgoing_reserve; /* FATE_FREE: the reserve of outgoing_coro's stack size */
	/* Coroutines without a task, hot ones first, linked by .next. */
	struct coro *idle_coros;
	unsigned idle_coro_count;
	unsigned idle_cold;      /* how many of them, at the end, come from the depot */
	struct coro *idle_chain; /* another DEPOT_CHAIN of them, or NULL */
	unsigned trims;          /* how many calls of weft_trim() it has obeyed */
	unsigned pinned;         /* live tasks that are pinned to this worker */
	struct weft__random random;
	struct {
		uint64_t next, end; /* the rest of its block of numbers */
		uint64_t base;      /* the first number of its block; 0: it has given none */
	} numbers;                  /* numbers for tasks (identity.h) */
	struct task_pool tasks;

	/* the owner writes, others read */
	struct counters counters;

	/* shared; each has its own protocol */
	struct weft__deque deque; /* unstarted tasks */
	struct weft__ring ring;   /* started tasks that are runnable again */
	/* The next slot: the task that became runnable last (watch.c). */
	_Alignas(64) _Atomic(struct task *) slot;
	_Atomic bool taking;    /* the owner is taking from it (owner; a watcher reads) */
	_Atomic bool raided;    /* a watcher may take from it (watcher; the owner reads) */
	_Atomic uint32_t picks; /* how many picks (owner); the watcher sees that the owner picks */
	/* The watcher's; there is one at a time. Since when it has seen something in next slot or
	 * deque, with this count of picks. 0: it has seen nothing. */
	int64_t watched_since;
	uint32_t watched_picks;
	struct weft__wfcq inbox; /* tasks for this worker and no other */
	struct timers timers;    /* deadlines of waits */
	struct timers scopes;    /* deadlines of scopes (scope.h) */

	/* under runtime.idle_lock */
	struct worker *sleep_next;
	/* The waker that took it off the list made it the watcher. Only the owner uses it, once it
	 * is awake. */
	bool to_watch;
	bool given;        /* the waker that took it off the list handed it a task (as to_watch) */
	int64_t roused_at; /* when it was woken (the waker; then the owner, once it is awake) */
	/* The task that a waker hands over, under the lock. The owner and searchers take
	 * it. */
	_Atomic(struct task *) handed;
	/* It is in the list of sleepers. Written under the lock; nudgers read. */
	_Atomic uint32_t asleep;

	/* Futex. The waker stores 1 after it has taken the worker off the list; the sleeper waits
	 * for that. */
	_Atomic uint32_t awake;

	/* under runtime.admin */
	enum worker_state state;
	_Atomic bool retiring; /* state is RETIRING; for the owner */
	pthread_t thread;

	struct chaos chaos; /* has its own access rules (chaos_state.h) */
};

#endif
