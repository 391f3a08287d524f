/* SPDX-License-Identifier: MIT */
/* Fork and join: see fork.c. */
#ifndef WEFT_CORE_FORK_H
#define WEFT_CORE_FORK_H

#include "src/base/compiler.h"

#include <weft/fork.h>

struct worker;

/* weft_fork() and weft_fork_join() for the thread whose worker is w. */
WEFT__MAY_HOP void weft__fork(weft_forked *storage, weft_fn *fn, void *arg, struct worker *w);
WEFT__MAY_HOP void *weft__fork_join(weft_forked *storage, struct worker *w);

/* The same if w is plain (weft__worker_set()). */
void weft__fork_plainly(weft_forked *storage, weft_fn *fn, void *arg, struct worker *w);
WEFT__MAY_HOP void *weft__fork_join_plainly(weft_forked *storage, struct worker *w);

#endif
