/* SPDX-License-Identifier: MIT */
/*
 * Tasks that never suspend: see patience.c.
 */
#ifndef WEFT_CORE_PATIENCE_H
#define WEFT_CORE_PATIENCE_H

#include "worker.h"

/* How many calls that may suspend, and do not, a task makes before it looks at the others. */
#define WEFT__PATIENCE 64

/* Suspends w's task if others have waited for long. The worker on which it goes on. */
struct worker *weft__out_of_patience(struct worker *w);

/* The same by a thread that perhaps is no worker, once the object's own count says so. */
void weft__fast_path_in_object(void);

/* Makes w's next inline join look at the others. */
void weft__note_inline_joins(struct worker *w);

/* Counts such a call of w's task. It may suspend here. */
static inline struct worker *fast_path(struct worker *w)
{
	return __builtin_expect(--w->patience <= 0, 0) ? weft__out_of_patience(w) : w;
}

#endif
