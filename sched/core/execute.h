/* SPDX-License-Identifier: MIT */
/* Running tasks: see execute.c. */
#ifndef WEFT_CORE_EXECUTE_H
#define WEFT_CORE_EXECUTE_H

#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"

#include <assert.h>
#include <stdbool.h>

/*
 * Suspends the task that runs on w, and runs `next`, or the leader if `next` is NULL. `fate` says
 * what becomes of the suspended task. Returns the worker that resumed it.
 */
WEFT__MAY_HOP WEFT__MUST_USE struct worker *weft__suspend(struct worker *w, enum fate fate,
							  struct task *next);

/* The same for a `next` that has not started. w must keep a coroutine for it. */
WEFT__MAY_HOP WEFT__MUST_USE struct worker *weft__suspend_to_start(struct worker *w, enum fate fate,
								   struct task *next);

/* Runs t on w. By w's leader; returns when something switches to the leader again. Stays: only w's
 * thread resumes its leader. */
WEFT__STAYS void weft__execute(struct worker *w, struct task *t);

/* The bottom frame of every task's stack. */
WEFT__MAY_HOP void weft__task_main(void *value);

#endif
