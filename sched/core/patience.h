/* SPDX-License-Identifier: MIT */
/*
 * Tasks that never suspend: see patience.c.
 */
#ifndef WEFT_CORE_PATIENCE_H
#define WEFT_CORE_PATIENCE_H

#include "src/base/compiler.h"
#include "worker.h"

/* A task looks at the other tasks after this many calls that could have suspended and did not. */
#define WEFT__PATIENCE 64

/* Suspends w's task if other tasks have waited for long. Returns the worker on which it goes on. */
WEFT__MAY_HOP WEFT__MUST_USE struct worker *weft__out_of_patience(struct worker *w);

/* The same for an object that counts such calls itself. The calling thread may have no worker. */
WEFT__MAY_HOP void weft__fast_path_in_object(void);

/* Makes the next inline join of w look at the other tasks. */
void weft__note_inline_joins(struct worker *w);

/* Counts such a call of w's task. It may suspend here. Returns the worker on which the task goes
 * on. */
static inline WEFT__MAY_HOP WEFT__MUST_USE struct worker *fast_path(struct worker *w)
{
	return unlikely(--w->patience.left <= 0) ? weft__out_of_patience(w) : w;
}

#endif
