/* SPDX-License-Identifier: MIT */
/*
 * Hooks: functions of the program that a worker's thread calls when it starts and stops, before it
 * sleeps and after it has woken. The worker has no task and holds no lock then. The calls use the
 * thread's own stack, and are off the hot paths.
 *
 * During the call the thread is not a worker. So a hook may call the same functions of Weft as a
 * plain thread, with the same effects. It needs no rules of its own, above all none about calls
 * that would suspend.
 *
 * A worker that is about to sleep is already on the list of sleepers. During the call it may be
 * woken or be handed a task, even by the hook itself.
 */
#ifndef WEFT_CORE_HOOKS_H
#define WEFT_CORE_HOOKS_H

#include "src/base/compiler.h"

#include <weft/runtime.h>

#include <stddef.h>

struct worker;

/*
 * Everything before the creation of the runtime happens before each hook. Each hook happens before
 * the return of weft_run() or weft_runtime_destroy(). There is no order between hooks of different
 * workers. For ThreadSanitizer the addresses of `start` and `stop` stand for the two edges.
 *
 * All members are immutable. A hook that is NULL is not called.
 */
struct hooks {
	weft_worker_fn *start, *stop, *sleep, *wake;
	void *arg;
};

/* Stays: the thread is not a worker during the call, so a hook returns on it. */
WEFT__STAYS void weft__call_hook(struct worker *w, weft_worker_fn *fn);

/* Calls fn, which is a hook of w's runtime. Only w's thread may call it, on its own stack. */
static inline void call_hook(struct worker *w, weft_worker_fn *fn)
{
	if (unlikely(fn != NULL))
		weft__call_hook(w, fn);
}

#endif
