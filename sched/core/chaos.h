/* SPDX-License-Identifier: MIT */
/*
 * WEFT_CHAOS: schedules that rarely happen by themselves, from a seed. At each of the points below
 * the worker that comes by rolls its dice: it may lose some time, so that others get between what
 * it did before and what it does after, and it may do what is allowed there and hardly ever
 * happens. Queues are tiny, of a size by dice. With "hop" every resume is on another worker than the
 * one on which the task was suspended. The exception is a task that its worker has passed on some
 * thousand times in a row because no other worker came by: they compute, or the system does not
 * run their threads. Each exception is counted.
 *
 * With "virtual" there is one worker, and its time is virtual (sched/os/clock.h): it passes with
 * each look at the clock, where a point loses some, and, when nothing is left to do before the
 * earliest deadline, at once. Then all that a schedule follows from is the program and the seed:
 * the same two give the same schedule, as long as no other thread takes part. weft__chaos_picked()
 * keeps a hash of it, by which two can be compared.
 *
 * Where chaos is off it costs nothing: the points are behind a look at one flag, off the paths that
 * are measured. (Rejected: points in fork, join, suspend and the primitives' fast paths. What would
 * be decided there is decided at the picks.)
 */
#ifndef WEFT_CORE_CHAOS_H
#define WEFT_CORE_CHAOS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct task;
struct worker;

enum chaos_point {
	CHAOS_PICK, /* picking from the own queues: the leader makes a fair pick instead */
	/* the same: the queues are looked at in another order, the deque at its other end */
	CHAOS_ORDER,
	/* making a task runnable: it goes to the pool's queue, where any worker takes it */
	CHAOS_READY,
	CHAOS_SPAWN, /* spawning: likewise */
	CHAOS_WAIT,  /* a wait that is over before the task has suspended: it does not give way */
	/* a mutex that is held: no spinning; who comes too late is handed it by the next unlock */
	CHAOS_LOCK,
	/* cancelling, between the request and the look at the wait: nothing but lost time */
	CHAOS_CANCEL,
	CHAOS_TIMERS, /* looking for deadlines that have passed: none is found */
	CHAOS_STEAL,  /* stealing: nothing is found */
	/* a worker about to sleep, which others see as asleep: it gets up, woken for nothing */
	CHAOS_SLEEP,
	CHAOS_ROUSE, /* waking a worker: the one that has slept longest instead of the last one */
	CHAOS_POINTS
};

/* In each worker; its own but for the counts, which anybody may read. */
struct chaos {
	uint64_t schedule; /* hash of the tasks picked, in order */
	uint32_t passes;   /* how many tasks in a row it has passed on ("hop") */
	_Atomic uint64_t picks;
	_Atomic uint64_t passed; /* how many tasks it has passed on in all */
	_Atomic uint64_t kept;   /* how many it has run itself since none of the others came by */
	_Atomic uint64_t struck[CHAOS_POINTS]; /* how often what the point names was done */
};

/* The points are passed where the configuration says so: see chaos_at() in runtime.h. */

/* Loses time, perhaps. true: what the point names is to be done. */
bool weft__chaos_strikes(struct worker *w, enum chaos_point point);

/* At CHAOS_READY and CHAOS_SPAWN: sends a task elsewhere, perhaps: true. */
bool weft__chaos_send_away(struct worker *w, struct task *t, enum chaos_point point);

/* With "hop": whether w, which has taken t from the pool's queue, has put it back there for another
 * worker to resume. */
bool weft__chaos_passes_on(struct worker *w, struct task *t);

/* One of n, by dice. */
uint32_t weft__chaos_choose(struct worker *w, uint32_t n);

/* Notes that w runs t next. */
void weft__chaos_picked(struct worker *w, struct task *t);

/* How many tasks the queues of a new worker hold. */
unsigned weft__chaos_capacity(struct worker *w);

#endif
