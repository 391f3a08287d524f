/* SPDX-License-Identifier: MIT */
/*
 * WEFT_CHAOS makes schedules that rarely happen by themselves, from a seed. At each point of enum
 * chaos_point the worker that comes by rolls its dice. It may lose some time, so that others get
 * between its last step and its next one. It may strike: it then does something that is allowed
 * there but hardly ever happens. Queues are tiny, and dice choose their sizes.
 *
 * With "hop" each resume is on another worker than the one on which the task was suspended. There
 * is one exception. If no other worker comes by, a worker runs the task itself after it has passed
 * tasks on some thousand times in a row. Other workers do not come by if they compute, or if the
 * system does not run their threads. Each exception is counted.
 *
 * With "virtual" there is one worker, and its time is virtual (src/base/clock.h). Virtual time
 * passes in three cases:
 *
 *  (a) A little passes with each look at the clock.
 *  (b) A point that loses time lets some pass.
 *  (c) If nothing is left to do before the earliest deadline, that deadline comes at once.
 *
 * The schedule then depends on the program and the seed alone. The same two give the same schedule,
 * as long as no other thread takes part. weft__chaos_picked() keeps a hash of the schedule, so two
 * schedules can be compared.
 *
 * Chaos costs nothing while it is off. Each point lies behind one look at a flag, and off the paths
 * that are measured.
 *
 * Rejected: points in fork, join, suspend and the fast paths of the primitives. The picks decide
 * what such points would decide.
 */
#ifndef WEFT_CORE_CHAOS_H
#define WEFT_CORE_CHAOS_H

#include "chaos_state.h"
#include "runtime.h"
#include "src/base/compiler.h"

#include <stdbool.h>
#include <stdint.h>

/* May lose time. Returns whether the point strikes: the caller then does what the point names. */
bool weft__chaos_strikes(struct worker *w, enum chaos_point point);

/* Whether WEFT_CHAOS strikes at this point. w: the caller's worker, or NULL. */
static inline bool chaos_at(struct worker *w, enum chaos_point point)
{
	return w && unlikely(w->rt->config.chaos.on) && weft__chaos_strikes(w, point);
}

/* At CHAOS_READY or CHAOS_SPAWN, may send the task to the injection queue. Returns whether it
 * did. */
bool weft__chaos_send_away(struct worker *w, struct task *t, enum chaos_point point);

/* "hop" only. w has taken t from the injection queue. Puts t back there, for another worker to
 * resume, or returns false. */
bool weft__chaos_passes_on(struct worker *w, struct task *t);

/* Returns a number from 0 to n - 1, by dice. */
uint32_t weft__chaos_choose(struct worker *w, uint32_t n);

/* Notes that w runs t next. */
void weft__chaos_picked(struct worker *w, struct task *t);

/* Returns how many tasks each queue of a new worker holds. */
unsigned weft__chaos_capacity(struct worker *w);

#endif
