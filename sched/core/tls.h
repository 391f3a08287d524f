/* SPDX-License-Identifier: MIT */
/* The worker that the calling thread is, and the runtime that it serves otherwise. */
#ifndef WEFT_CORE_TLS_H
#define WEFT_CORE_TLS_H

#include <weft/fork.h>

#include <stdbool.h>

struct scope;
struct weft_runtime;
struct worker;

/* The calling thread's worker, or NULL. Read anew at each call; the result is stale after a
 * switch. */
struct worker *weft__worker(void);

/*
 * Makes w the calling thread's; NULL: none.
 *
 * plain: forks and joins may leave out what few machines and programs need. There is no C++ runtime,
 * mxcsr is loaded without a look (fpwords.h), and light fences are free. All of these hold for the
 * whole process, so a task that hops goes from one plain worker to another.
 */
void weft__worker_set(struct worker *w, bool plain);

/* Makes the identity of a thread that has none yet; identity.h has the function that asks. */
uint64_t weft__new_thread_identity(void);

/* The runtime for which the calling thread makes blocking calls, or NULL. */
struct weft_runtime *weft__served_runtime(void);

void weft__serve(struct weft_runtime *rt);

/* What can be cancelled of a thread that is no worker: scope.h. */
struct thread_scopes {
	struct scope *innermost; /* NULL: none is open */
	unsigned mask;           /* depth of weft_cancel_mask() */
};

/* The calling thread's. A pointer for the function that asks, which must not switch. */
struct thread_scopes *weft__thread_scopes(void);

/* fork.c: weft_fork() and weft_fork_join(), on the thread whose worker w is. */
void weft__fork(weft_forked *storage, weft_fn *fn, void *arg, struct worker *w);
void *weft__fork_join(weft_forked *storage, struct worker *w);

/* The same where w is plain: weft__worker_set(). */
void weft__fork_plainly(weft_forked *storage, weft_fn *fn, void *arg, struct worker *w);
void *weft__fork_join_plainly(weft_forked *storage, struct worker *w);

#endif
