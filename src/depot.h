/* SPDX-License-Identifier: MIT */
/*
 * The depot: coroutines that have no task, beyond the few that each worker keeps for itself.
 *
 * The problem. After a burst there are stacks by the hundred thousand that nobody uses. To give
 * them back at once costs a system call for each, and page faults and new guards when the next
 * burst comes. To keep them is to take memory that the rest of the machine may need. So they are
 * kept for a moment.
 *
 * Coroutines come and go in chains (Bonwick and Adams, Magazines and Vmem, 2001), with one hold of
 * the lock for each.
 *
 * Giving back. Time is cut into windows of DEPOT_WINDOW_NS, from when the first chain comes. `low`
 * is the least number of chains that there were in the present one: nobody has needed them in it.
 * At its end so many are surplus, unless there are many more or fewer than at its beginning: a
 * burst ends, and may be followed by the next, or begins. Nothing is surplus any more, until the
 * next window ends, as soon as some have been taken for good: the next burst begins. Surplus chains
 * are freed a few at each visit, so that no task is held up for long; arenas of which all stacks
 * are free are unmapped meanwhile, and what then is left of the memory of free stacks is given
 * back, also a part at each visit. So a burst's memory is on its way back one to two windows after
 * its end.
 *
 * Stacks of uncommon size are not in the depot: their tasks' ends free them to their pool, lazily,
 * and leave a note (weft__depot_note()). One to two windows later the memory of all free stacks is
 * given back, like that of surplus chains.
 *
 * When the last depot of the process is gone no free stack has memory.
 *
 * One gives back at a time, the tender: two would wait for each other in the kernel, which unmaps
 * for one thread of a process at a time (0.8 of a CPU for both). For the others it is due when the
 * tender has not come for a window; who comes first then takes over.
 *
 * Whoever runs timers tends the depot: `due` is a deadline like those of tasks, kept by the same
 * keeper (park.c). An empty depot has none, so an idle runtime sleeps for good once the memory has
 * been given back. Where memory is refused every depot of the process is emptied at once.
 *
 * Rejected: a bound on their number (what is beyond it costs all of the above); giving back by the
 * age of each (a reading of the clock at the end of each task); a thread of its own.
 */
#ifndef WEFT_SRC_DEPOT_H
#define WEFT_SRC_DEPOT_H

#include "coro.h"
#include "lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many coroutines are in a chain, linked by .next. */
#define DEPOT_CHAIN 32

#define DEPOT_WINDOW_NS ((int64_t)60000000)

struct depot {
	/* When it is to be tended; WEFT_FOREVER: not (under lock; anyone reads). */
	_Alignas(64) _Atomic int64_t due;
	struct weft__lock lock;

	/* under lock */
	struct coro *chains; /* linked by the .chain of each one's first */
	size_t count;        /* of chains */
	size_t begun;        /* the count when this window began */
	size_t low;          /* the least since */
	size_t surplus;      /* so many are to be freed */
	bool discards;       /* memory of free stacks is to be given back */
	bool note_aged;      /* noted before this window began */
	_Atomic bool noted;  /* in this window (under lock; anyone reads) */
	size_t taken;        /* more than were put in this window; 0: not more */
	_Atomic(const void *)
		tender; /* who gives back (under lock; anyone compares it with itself) */

	/* under the lock of the list of all depots */
	struct depot *next;
};

/* An empty one. */
void weft__depot_init(struct depot *d);

/* Frees all that is in it. Nobody may use it any more. */
void weft__depot_fini(struct depot *d);

/* Adds a chain. true: nothing was due, and the depot is now to be tended at once, which begins a
 * window. Any thread. */
bool weft__depot_put(struct depot *d, struct coro *chain);

/* Stacks of another kind were freed lazily. As weft__depot_put(): true: the depot is now to be tended
 * at once. */
bool weft__depot_note(struct depot *d);

/* Takes a chain, or returns NULL. Any thread. */
struct coro *weft__depot_take(struct depot *d);

/*
 * Gives back a part of what nobody needs, if the time has come. true: there is more, for the caller
 * to come again. Any thread.
 *
 * @who  stands for the caller, and for no other one.
 */
bool weft__depot_tend(struct depot *d, int64_t now, const void *who);

/* Frees what is in it. Any thread. */
void weft__depot_empty(struct depot *d);

/* Frees what is in every depot of the process: memory has been refused. Any thread. */
void weft__depots_empty(void);

/* Calls fn with every depot of the process, under WEFT__LOCK_DEPOTS. */
void weft__depots_each(void (*fn)(struct depot *d));

/* Around a fork, under WEFT__LOCK_DEPOTS: takes and releases the lock of every depot
 * (process_locks.h). */
void weft__depots_lock_each(void);
void weft__depots_unlock_each(void);

#endif
