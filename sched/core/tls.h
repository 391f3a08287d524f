/* SPDX-License-Identifier: MIT */
/* Thread-local state: the worker of the calling thread, and the runtime for which a thread runs a
 * blocking call. */
#ifndef WEFT_CORE_TLS_H
#define WEFT_CORE_TLS_H

#include "src/base/sanitizer.h"

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

struct scope;
struct weft_runtime;
struct worker;

/* The calling thread's worker, or NULL. Each call reads it anew. The result is stale after a
 * switch. */
struct worker *weft__worker(void);

/* Returns w. The caller got w before a call that may hop, and knows that it has not hopped there.
 * tools/check_hops.py takes the result for a new worker. */
static inline struct worker *unhopped(struct worker *w)
{
#if WEFT__ASAN || WEFT__TSAN
	assert(w == weft__worker());
#endif
	return w;
}

/*
 * Makes w the calling thread's worker. NULL: the thread has none.
 *
 * If `plain` is set, forks and joins leave out what few machines and programs need. There is no C++
 * runtime, mxcsr is loaded without a look (fpwords.h), and light fences are free. All of these hold
 * for the whole process, so a task that hops goes from one plain worker to another.
 */
void weft__worker_set(struct worker *w, bool plain);

/* Returns the calling thread's identity. A task must not call it for itself. */
uint64_t weft__thread_identity(void);

/* The runtime for which the calling thread runs a blocking call, or NULL. */
struct weft_runtime *weft__blocking_for(void);

/* Sets it. NULL: the thread runs no blocking call. */
void weft__set_blocking_for(struct weft_runtime *rt);

/* The scopes of a thread that is not a worker (scope.h). */
struct thread_scopes {
	struct scope *innermost; /* NULL: no scope is open */
	unsigned mask;           /* depth of weft_cancel_mask() */
};

/* The calling thread's scopes. The pointer is for the calling function only, which must not
 * switch. */
struct thread_scopes *weft__thread_scopes(void);

#endif
