/* SPDX-License-Identifier: MIT */
/*
 * The depot: coroutines without a task, beyond the few that each worker keeps for itself.
 *
 * The problem. A burst leaves stacks behind, hundreds of thousands of them, and no task uses them.
 * Giving them back at once costs a system call for each, and page faults and new guards when the
 * next burst comes. Keeping them takes memory that the rest of the machine may need. So the depot
 * keeps them for a short time.
 *
 * Coroutines come and go in chains (Bonwick and Adams, Magazines and Vmem, 2001). Each chain takes
 * the lock once.
 *
 * Giving back.
 *
 *  1. Time is cut into windows of DEPOT_WINDOW_NS, beginning when the first chain comes. `low` is
 *     the least number of chains in the present window: no task has needed these.
 *  2. At the end of a window, `low` chains are surplus, if the depot has about as many chains as at
 *     the beginning. If it has many more, a burst has just ended and the next may follow. If it has
 *     many fewer, a burst begins. In both cases nothing is surplus.
 *  3. Once tasks have taken some chains and not put them back, the next burst begins. Then nothing
 *     is surplus until the next window ends.
 *  4. Surplus chains are freed a few at each visit, so no task waits for long. Arenas whose stacks
 *     are all free are unmapped on the way.
 *  5. The remaining memory of free stacks is then given back, also in parts.
 *
 * So a burst's memory is on its way back one to two windows after the end of the burst.
 *
 * Stacks of uncommon size are not in the depot. The end of such a task frees its stack to the pool,
 * lazily, and leaves a note (weft__depot_note()). One to two windows later the memory of all free
 * stacks is given back, like that of surplus chains.
 *
 * After the end of the process's last depot, no free stack has memory.
 *
 * One thread at a time gives back: the tender. Two threads would wait for each other, because the
 * kernel unmaps for one thread of a process at a time. With two, both together cost 0.8 of a CPU.
 * For the other threads the depot is due only when the tender has not come for a window. The first
 * to come then takes over.
 *
 * The thread that runs timers tends the depot. `due` is a deadline like those of tasks, and the
 * same keeper waits for it (idle.c). An empty depot has no deadline, so an idle runtime sleeps for
 * good once the memory has been given back. When the system refuses memory, every depot of the
 * process is emptied at once.
 *
 * Rejected: a bound on the number of coroutines, because those beyond it have all the costs above.
 * Rejected: giving back by each coroutine's age, because the end of each task would read the clock.
 * Rejected: a thread of its own.
 */
#ifndef WEFT_SRC_DEPOT_H
#define WEFT_SRC_DEPOT_H

#include "coro_header.h"
#include "src/base/compiler.h"
#include "src/base/list.h"
#include "src/base/lock.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The number of coroutines in a chain. They are linked by .next. */
#define DEPOT_CHAIN 32

#define DEPOT_WINDOW_NS ((int64_t)60000000)

struct depot {
	/* When the depot must be tended, or WEFT_FOREVER. Written under the lock; any thread reads
	 * it. */
	_Alignas(64) _Atomic int64_t due;
	struct weft__lock lock;

	/* Under the lock. */
	struct coro *chains; /* linked by .chain of the first coroutine of each */
	size_t count;        /* the number of chains */
	size_t begun;        /* the value of `count` when this window began */
	size_t low;          /* the least `count` in this window */
	size_t surplus;      /* chains to free */
	bool discards;       /* the memory of free stacks must be given back */
	bool note_aged;      /* there was a note before this window began */
	_Atomic bool noted;  /* a note in this window; any thread reads it */
	size_t taken;        /* chains taken and not put back in this window */
	/* The thread that gives back. Any thread compares it with itself. */
	_Atomic(const void *) tender;

	/* Under the lock of the list of all depots. */
	struct weft__link link;
};

/* Makes an empty depot. */
void weft__depot_init(struct depot *d);

/* Frees the depot's content. No thread may use the depot afterwards. */
void weft__depot_fini(struct depot *d);

/* Adds a chain. Any thread. Returns true if nothing was due before. The depot must then be tended
 * at once, which begins a window. */
bool weft__depot_put(struct depot *d, struct coro *chain);

/* Records that stacks of another kind were freed lazily. Returns true like weft__depot_put(): the
 * depot must then be tended at once. */
bool weft__depot_note(struct depot *d);

/* Takes a chain, or returns NULL. Any thread. */
struct coro *weft__depot_take(struct depot *d);

/*
 * Gives back a part of what no task needs, if the time has come. Any thread. Returns true if there
 * is more, and the caller should come again.
 *
 * @who  identifies the caller, and nobody else.
 */
bool weft__depot_tend(struct depot *d, int64_t now, const void *who);

/* Frees the depot's content. Any thread. */
void weft__depot_empty(struct depot *d);

/* Frees the content of every depot of the process, because memory has been refused. Any thread. */
void weft__depots_empty(void);

/* Calls fn with every depot of the process, under WEFT__LOCK_DEPOTS. fn must not switch, so this
 * stays. */
WEFT__STAYS void weft__depots_each(void (*fn)(struct depot *d));

#endif
