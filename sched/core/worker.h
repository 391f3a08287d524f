/* SPDX-License-Identifier: MIT */
/*
 * The worker: a thread of the pool, with its queues. The record outlives its thread: it is
 * type-stable until the runtime is destroyed, because plain threads touch its inbox and its futex
 * without being RCU readers.
 */
#ifndef WEFT_CORE_WORKER_H
#define WEFT_CORE_WORKER_H

#include "chaos.h"
#include "counters.h"
#include "sched/os/random.h"
#include "sched/queue/deque.h"
#include "sched/queue/ring.h"
#include "sched/queue/urcu.h"
#include "task.h"
#include "task_pool.h"
#include "timer.h"
#include "tls.h"

#include <pthread.h>

/* What whoever runs next on this thread does for the one that it replaced, whose context is saved
 * only then. */
enum leave {
	LEAVE_NOTHING, /* the leader left, which nobody else resumes */
	LEAVE_PARK,    /* .leaving: SUSPENDING → PARKED */
	LEAVE_YIELD,   /* .leaving: to the tail of the ready ring */
	LEAVE_IDLE,    /* .leaving_coro has no task any more: keep it for the next one */
	LEAVE_FREE,    /* .leaving_coro has no task any more, and an uncommon stack: free it */
};

enum worker_state {
	WORKER_NEW,      /* no thread */
	WORKER_RUNNING,  /* has a thread */
	WORKER_RETIRING, /* has a thread, which is to end once it is rid of its tasks */
	WORKER_GONE,     /* the thread ends without touching the record any more; to be joined */
};

struct worker {
	/* immutable */
	struct weft_runtime *rt;
	uint16_t id;
	uint64_t mark; /* (id + 1) << 32: a hint of who holds a mutex */

	/* owner only */
	struct task *task;  /* what runs here; NULL: the leader */
	struct task *over;  /* what ran last to its end here: only its address is of use */
	char *inline_floor; /* forks may run inline on the stack between this address */
	size_t inline_span; /* and this many bytes above it */
	int32_t patience;   /* so many fast paths more before it looks at the others (patience.c) */
	uint32_t looks;     /* how often it has looked */
	int32_t inline_patience; /* the same for inline joins */
	struct coro *leader;     /* the thread's own stack */
	int *errno_location;     /* the thread's errno */
	/* the C++ runtime's state of the thread; not NULL: an empty one where that runtime is not */
	struct eh_globals *eh_globals;
	struct weft__thread *thread_state; /* the thread's: as stale as w after a switch */
	enum leave leave;
	bool fair;           /* the leader makes the next pick, a fair one */
	bool put_off;        /* the leader makes the next pick, one that was put off: pick.c */
	bool due;            /* and it is to serve what is due */
	bool overflowed;     /* the ring's tail is in the injection queue */
	bool starving;       /* was refused a stack when it last asked (starve.c) */
	bool retires;        /* what it last saw of .retiring */
	bool timer_armed;    /* a deadline was added since sleepers were last told */
	bool watches;        /* runtime.watching is its */
	bool searching;      /* counted in runtime.idle's searchers */
	bool settled;        /* sleeps, and is answerable for nothing any more (rouse.c) */
	uint8_t fair_turn;   /* which source the next fair pick tries first */
	uint8_t short_idles; /* a bit for each of the last times without work: was it short? */
	bool spares_rings;   /* what it last decided: see steal.c */
	int64_t idle_since;  /* when its searches began to be in vain; 0: they are not */
	int64_t loot_since;  /* when it stole from a ring, without a search since; 0: it has not */
	unsigned loot_count; /* how many tasks that were */
	int64_t spare_until; /* when it may again */
	int64_t spare_ns;    /* for how long it may not, after the last such loot */
	int64_t next_watch;  /* when it looks at the slots again while it searches */
	uint32_t served_at;  /* .picks when it last served what was due */
	uint64_t looked_switches;  /* .switches when .looked_at was noted */
	int64_t looked_at;         /* when its task was seen to run */
	int64_t gave_way_at;       /* when a task that makes no picks last went on after it */
	struct task *put_off_task; /* what that pick has taken already, or NULL */
	struct task *leaving;
	struct coro *leaving_coro;
	struct reserve *leaving_reserve; /* LEAVE_FREE: of what size leaving_coro is */
	struct coro *idle_coros;         /* coroutines without a task, hot, linked by .next */
	unsigned idle_coro_count;
	unsigned idle_cold;      /* so many of them, the last ones, come from the depot */
	struct coro *idle_chain; /* DEPOT_CHAIN more of them, or NULL */
	unsigned trims;          /* how many calls of weft_trim() it has heeded */
	unsigned pinned;         /* live tasks that are pinned here */
	struct weft__random random;
	struct {
		uint64_t next, end; /* what is left of its block */
		uint64_t base;      /* its first one; 0: it has given none yet */
	} numbers;                  /* for tasks: identity.h */
	struct task_pool tasks;

	/* owner writes, others read */
	struct counters counters;

	/* shared, each with its own protocol */
	struct weft__deque deque;                 /* unstarted tasks */
	struct weft__ring ring;                   /* runnable again */
	_Alignas(64) _Atomic(struct task *) slot; /* runnable again, the last one (watch.c) */
	_Atomic bool taking;    /* the owner takes from the slot (owner; a watcher reads) */
	_Atomic bool raided;    /* a watcher may take from it (watcher; the owner reads) */
	_Atomic uint32_t picks; /* owner writes; the watcher reads: does the owner still pick? */
	/* The watcher's, of which there is one: since when it has seen something in slot or deque,
	 * and this count of picks; 0: there was nothing. */
	int64_t watched_since;
	uint32_t watched_picks;
	struct weft__wfcq inbox; /* for this worker and no other */
	struct timers timers;    /* of waits */
	struct timers scopes;    /* of scopes (scope.h) */

	/* under runtime.idle_lock */
	struct worker *sleep_next;
	/* who took it off the list made it the watcher (then its own, once it is awake) */
	bool to_watch;
	bool given;        /* who took it off the list handed it a task (as to_watch) */
	int64_t roused_at; /* when (who took it off the list; then its own, once it is awake) */
	_Atomic(struct task *)
		handed; /* a waker fills it, under the lock; the owner and searchers take */
	_Atomic uint32_t
		asleep; /* in the list of sleepers (written under the lock; nudgers read) */

	/* waker stores 1 after taking it off the list; the sleeper waits for that */
	_Atomic uint32_t awake;

	/* under runtime.admin */
	enum worker_state state;
	_Atomic bool retiring; /* state RETIRING, for the owner to see */
	pthread_t thread;

	struct chaos chaos; /* says itself whose it is */
};

/* The earliest of the deadlines that w has armed. */
static inline int64_t worker_earliest(struct worker *w)
{
	/* relaxed: a hint, or the caller's fence orders it. */
	int64_t wait = atomic_load_explicit(&w->timers.earliest, memory_order_relaxed);
	int64_t scope = atomic_load_explicit(&w->scopes.earliest, memory_order_relaxed);

	return wait < scope ? wait : scope;
}

#endif
