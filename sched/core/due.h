/* SPDX-License-Identifier: MIT */
/* Tasks that must not wait for their turn: see due.c. */
#ifndef WEFT_CORE_DUE_H
#define WEFT_CORE_DUE_H

#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"

#include <stdbool.h>

/* Whether DUE is set. */
static inline bool is_due(struct weft_runtime *rt)
{
	/* relaxed: a hint. */
	return load_relaxed(&rt->idle) & DUE;
}

/* Sets DUE and returns true. Returns false if a worker sleeps: the caller must wake it instead. Any
 * thread. */
bool weft__set_due(struct weft_runtime *rt);

/* Clears DUE. The caller must then look at everything that DUE stands for. Fences fully if DUE was
 * set. */
void weft__clear_due(struct weft_runtime *rt);

/* Wakes a worker, or sets DUE, after something was put into the injection queue. Any thread. Fences
 * fully. */
void weft__announce_due(struct weft_runtime *rt);

/* Suspends w's task for what is due. Does nothing if the task went on after such a suspension only
 * just before. Returns the worker on which the task goes on. */
WEFT__MAY_HOP WEFT__MUST_USE struct worker *weft__let_due_run(struct worker *w);

#endif
