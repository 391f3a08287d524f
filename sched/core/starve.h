/* SPDX-License-Identifier: MIT */
/* Tasks that wait for a stack: see starve.c. */
#ifndef WEFT_CORE_STARVE_H
#define WEFT_CORE_STARVE_H

#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"

#include <stdbool.h>

/* Reacts to a refusal of memory other than a stack. It gives back the free parts of pools, and what
 * sleeping workers have kept. Returns -ENOMEM. Any thread. */
int weft__note_shortage(struct weft_runtime *rt);

/* Notes whether w got the stack that it asked for. */
void weft__note_stack(struct worker *w, bool got);

/* Counts that w found tasks to start and no stack for them. The first call of a runtime prints a
 * line. */
void weft__note_stack_wait(struct worker *w);

/* Keeps an unstarted task until there is a stack for it. */
void weft__starved_put(struct worker *w, struct task *t);

/* Returns a task that has waited and that w can start now, or NULL. */
struct task *weft__starved_take(struct worker *w);

/* Whether a new task must be refused. Called while runtime.starving is set. w: the caller's worker
 * of rt, or NULL. */
bool weft__refuses_tasks(struct weft_runtime *rt, struct worker *w);

/* Whether stacks are so short that a new task must be refused. */
static inline bool out_of_stacks(struct weft_runtime *rt, struct worker *w)
{
	/* relaxed: a hint. It costs nothing while there are stacks. */
	return unlikely(load_relaxed(&rt->starving) != 0) && weft__refuses_tasks(rt, w);
}

#endif
