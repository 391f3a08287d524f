/* SPDX-License-Identifier: MIT */
/* What WEFT_CHAOS keeps in each worker: see chaos.h. */
#ifndef WEFT_CORE_CHAOS_STATE_H
#define WEFT_CORE_CHAOS_STATE_H

#include <stdatomic.h>
#include <stdint.h>

enum chaos_point {
	CHAOS_PICK, /* a worker picks from its own queues: the leader makes a fair pick instead */
	/* a worker picks: it looks at its queues in another order, and at the deque's other end */
	CHAOS_ORDER,
	/* a task becomes runnable: it goes to the injection queue, where any worker takes it */
	CHAOS_READY,
	CHAOS_SPAWN, /* a task is spawned: as CHAOS_READY */
	CHAOS_WAIT,  /* a wait is over before the task has suspended: the task does not give way */
	/* a task meets a held mutex: it does not spin; or it counts as overdue when it queues, so
	 * the next unlock hands it the mutex */
	CHAOS_LOCK,
	/* a canceller is between the request and its look at the wait: it only loses time */
	CHAOS_CANCEL,
	CHAOS_TIMERS, /* a worker looks for deadlines that have passed: it finds none */
	CHAOS_STEAL,  /* a worker steals: it finds nothing */
	/* a worker is about to sleep, and others see it as asleep: it gets up for nothing */
	CHAOS_SLEEP,
	CHAOS_ROUSE, /* a worker is woken: the one that has slept longest, not the last one */
	CHAOS_POINTS
};

/* Each worker has one. Only the owner writes it. Anybody may read the counts, which are atomic. */
struct chaos {
	uint64_t schedule; /* owner only: hash of the tasks that it picked, in their order */
	uint32_t passes;   /* owner only: how many tasks in a row it has passed on ("hop") */
	_Atomic uint64_t picks;
	_Atomic uint64_t passed; /* how many tasks it has passed on in all */
	_Atomic uint64_t kept;   /* how many it has run itself because no other worker came by */
	_Atomic uint64_t struck[CHAOS_POINTS]; /* how often each point struck */
};

#endif
