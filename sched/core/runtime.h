/* SPDX-License-Identifier: MIT */
/* The runtime: the state that all of its workers share. */
#ifndef WEFT_CORE_RUNTIME_H
#define WEFT_CORE_RUNTIME_H

#include "config.h"
#include "early.h"
#include "events.h"
#include "hooks.h"
#include "reserve.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/fence.h"
#include "src/base/thread.h"
#include "src/depot.h"
#include "timekeeper.h"
#include "worker.h"

#include <weft/runtime.h>

#define WORKERS_MAX WEFT__WORKERS_MAX

/* The fairness bound of pick.c. Take a runnable task with p others before it in its queue. Its
 * worker picks it after at most WEFT__FAIR_BOUND * (p + 1) picks. */
#define WEFT__FAIR_BOUND 256

/* The workers that have a thread, in no particular order. RCU: the table is never changed in place.
 * A new one replaces it, under runtime.admin. */
struct worker_table {
	struct worker_table *retired_next;
	unsigned count;
	struct worker *workers[];
};

/* Something that a higher layer keeps with a runtime, and that ends with the runtime. */
struct attachment {
	/* One of the two is set, and frees the attachment: end() when no task is live, while the
	 * workers may still run; free() when they have ended. */
	void (*end)(struct attachment *a);
	void (*free)(struct attachment *a);
};

enum { ATTACHED_BLOCKING, ATTACHED_POLLER, ATTACHED_COUNT };

/* Layout of runtime.idle. The low half counts the searchers. The high half counts the sleepers, and
 * has two flags (due.c). */
#define SEARCHER UINT64_C(1)
#define SLEEPER  (UINT64_C(1) << 32)
#define CHANCE   (UINT64_C(1) << 62) /* a flag: WEFT_CHAOS is on; never changes */
/* A flag: the next pick of any worker serves what is due. */
#define DUE          (UINT64_C(1) << 63)
#define SEARCHERS(i) ((uint32_t)(i))
#define SLEEPERS(i)  ((uint32_t)((i) >> 32) & 0x3fffffff)

/*
 * The fields are grouped by their writers. Each group that is written starts its own cache line, so
 * its writes do not evict the lines that other groups' readers need. tests/sched/core/layout.c
 * checks this. The first group holds what the hot paths read: every pick, fork, spawn and
 * suspension. The letters of the access rules are those of worker.h. The runtime has no owner.
 */
struct weft_runtime {
	/* Immutable, or written only when workers are added and on similarly rare occasions. */
	struct config config; /* I */
	bool borrowed;        /* I: worker 0 is the thread that called weft_run() */
	/* I: the first task of weft_run(). The program has no handle to it, unless that task made
	 * one. NULL: weft_run() did not make this runtime. */
	struct task *first;
	unsigned searchers_max; /* I */
	/* A: not 0: stacks are short, and a spawn must ask first (starve.c). Anyone sets it; it is
	 * cleared under starved_lock only. */
	_Atomic uint32_t starving;
	/* Written under early.lock, read by any thread. Not 0: a thread that parks a task must look
	 * at the list of early wakes (early.c). */
	_Atomic uint32_t early_count;
	_Atomic(void *) table;         /* Nr: struct worker_table (RCU) */
	_Atomic unsigned target;       /* Nr: how many workers the runtime was told to have */
	_Atomic unsigned record_count; /* Nr: raised (release) when a record is added */
	/* A: each is set once (release). NULL: not set. */
	_Atomic(struct attachment *) attached[ATTACHED_COUNT];
	_Atomic bool closing;     /* A: workers stop once no task is live (stop.c) */
	_Atomic uint32_t stopped; /* A: futex; not 0: no task is live, and none will be (stop.c) */
	/* N: every worker that ever existed, by id. Any thread reads the first record_count. */
	struct worker *records[WORKERS_MAX];
	struct weft__thread_traits traits; /* I: of its threads and their creator */
	struct hooks hooks;                /* I */

	/* A. Written by tasks that wait for descriptors, and by the workers that look for events. */
	_Alignas(WEFT__CACHE_LINE) struct events events;

	/* A. Written by workers that start or stop searching or sleeping (idle.c). Read by every
	 * fork and wake. */
	_Alignas(WEFT__CACHE_LINE) _Atomic uint64_t idle; /* searchers and sleepers */
	_Atomic uint32_t watching;                        /* 1: one worker watches the next slots */
	/* The keeper or the timekeeper has left its post, so the last searcher must look for
	 * deadlines. */
	_Atomic bool post_left;
	/* Lr: when the keeper's sleep ends. WEFT_FOREVER: there is no keeper. */
	_Atomic int64_t keeper_deadline;

	/* L. Written by the same workers, and read by nobody else. */
	_Alignas(WEFT__CACHE_LINE) struct weft__lock idle_lock;
	unsigned awake_count;    /* workers with a thread that are not on the list */
	struct worker *sleepers; /* the list; last in, first out */
	struct worker *keeper;   /* the sleeper that waits for the earliest deadline */

	/* P. Written by a worker that arms the earliest deadline while no worker sleeps. */
	_Alignas(WEFT__CACHE_LINE) struct timekeeper timekeeper;

	/* A. Written by threads that are not its workers, at each of their calls (visit.h). */
	_Alignas(WEFT__CACHE_LINE) _Atomic unsigned visitors; /* threads inside a call */
	_Atomic uint64_t injected_spawned;                    /* tasks accepted from them */
	struct weft__lock outside_lock;
	struct task_pool outside_tasks; /* X: control blocks for their tasks */

	/* P. Written by any thread that hands over a task, and by workers that take tasks. */
	struct weft__wfcq injection;

	/* Written by any worker while stacks are short (starve.c) or wakes come early (early.c),
	 * and by workers that are added or removed. */
	_Alignas(WEFT__CACHE_LINE) struct weft__lock starved_lock;
	_Atomic unsigned starved_count; /* Vr */
	/* V: the queue of unstarted tasks that got no stack. Linked by .link.opaque. */
	struct task *starved_head;
	struct task **starved_tail;   /* V: the end of that queue */
	struct reserve common;        /* P: the coroutine kept in reserve (reserve.h) */
	struct reserve *uncommon;     /* V: the reserves of other stack sizes */
	_Atomic bool stack_wait_told; /* A: stderr was told that tasks wait for stacks */
	struct early early;           /* P: wakes that came before their task was parked */
	struct weft__lock admin;
	bool over; /* N: its threads are being joined, and no worker is added */
	struct worker_table *retired_tables; /* N */

	/* P. Written by workers that need many stacks, or no longer need them. */
	struct depot depot; /* coroutines without a task */
};

/* The table of workers. Call it inside an RCU read-side section. */
static inline struct worker_table *worker_table(struct weft_runtime *rt)
{
	return weft__rcu_load(&rt->table);
}

#endif
