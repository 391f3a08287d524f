/* SPDX-License-Identifier: MIT */
/*
 * Counters of a runtime, summed over its workers, or of one worker. They cost almost nothing and
 * are always on. If tasks run while they are read, each counter is true for some recent moment, and
 * not all for the same one.
 */
#ifndef WEFT_STATS_H
#define WEFT_STATS_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

struct weft_stats {
	uint64_t spawned;   /* tasks accepted by spawn, submit and run; forks are not among them */
	uint64_t completed; /* of those, how many have ended */
	uint64_t live;      /* of those, how many have not */
	uint64_t forked;    /* calls of weft_fork() */
	uint64_t inlined;   /* forks that ran as a call on their parent's stack */
	uint64_t steals;    /* times a worker took something from another worker's queue */
	uint64_t stolen;    /* tasks that moved to another worker by a steal */
	uint64_t hops;      /* resumes on another worker than the one the task was suspended on */
	uint64_t switches;  /* context switches to a task */
	uint64_t parks;     /* times a task suspended to wait */
	uint64_t wakes;     /* tasks made runnable again */
	uint64_t yields;    /* calls of weft_yield() in a task */
	uint64_t injected;  /* tasks from the injection queue, or handed to a sleeper */
	uint64_t sleeps;    /* times a worker went to sleep */
	uint64_t nudges;    /* times a worker was woken by another or by a plain thread */
	uint64_t timers;    /* deadlines that passed before their wait was over */
	/* times a worker found tasks to start, and the system refused it a stack */
	uint64_t stack_waits;
	uint64_t blocking_waits; /* calls of weft_blocking() that found all threads busy */
};

/* The calls behind weft_runtime_stats() and weft_worker_stats(). */
WEFT_API WEFT_MUST_CHECK int
weft_runtime_stats_sized(weft_runtime *rt, struct weft_stats *ret_stats, size_t stats_size);
WEFT_API WEFT_MUST_CHECK int weft_worker_stats_sized(weft_runtime *rt, unsigned worker,
						     struct weft_stats *ret_stats,
						     size_t stats_size);

/*
 * Reads the counters of a runtime (NULL: the caller's). From any thread or task.
 *
 * Returns 0, or:
 *   -EINVAL  ret_stats is NULL
 *   -EPERM   rt is NULL and the caller belongs to no runtime
 */
WEFT_INLINE WEFT_MUST_CHECK int weft_runtime_stats(weft_runtime *rt, struct weft_stats *ret_stats)
{
	return weft_runtime_stats_sized(rt, ret_stats, WEFT_SIZE(weft_stats));
}

/* As weft_runtime_stats(), of one worker; live is 0. -EINVAL also: the runtime has never had such a
 * worker. */
WEFT_INLINE WEFT_MUST_CHECK int weft_worker_stats(weft_runtime *rt, unsigned worker,
						  struct weft_stats *ret_stats)
{
	return weft_worker_stats_sized(rt, worker, ret_stats, WEFT_SIZE(weft_stats));
}

WEFT_END_DECLS

#endif
