/* SPDX-License-Identifier: MIT */
/*
 * Hooks: functions of the program that a worker's thread calls as it starts and stops, and as it goes
 * to sleep and has woken. They are called where a worker has no task and holds no lock, on the
 * thread's own stack, off the hot paths.
 *
 * During the call the thread is no worker: what a hook calls of Weft behaves as on a plain thread. So
 * it needs no rules of its own, above all none for what would suspend. A worker that is about to
 * sleep is on the list of sleepers already, and may be woken, or handed a task, during the call, even
 * by the hook itself.
 */
#ifndef WEFT_CORE_HOOKS_H
#define WEFT_CORE_HOOKS_H

#include <weft/runtime.h>

#include <stddef.h>

struct worker;

/*
 * Everything before the creation of the runtime happens before each hook, and each hook before the
 * return of weft_run() or weft_runtime_destroy(). (To ThreadSanitizer the addresses of `start` and
 * `stop` stand for the two edges. There is none between hooks of different workers.)
 *
 * Immutable. Those that are NULL are not called.
 */
struct hooks {
	weft_worker_fn *start, *stop, *sleep, *wake;
	void *arg;
};

void weft__call_hook(struct worker *w, weft_worker_fn *fn);

/* Calls fn, which is one of the hooks of w's runtime. By w's thread, on its own stack. */
static inline void call_hook(struct worker *w, weft_worker_fn *fn)
{
	if (__builtin_expect(fn != NULL, 0))
		weft__call_hook(w, fn);
}

#endif
