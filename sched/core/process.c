/* SPDX-License-Identifier: MIT */
/*
 * Who is an orphan: a process whose parent had a live runtime when it forked. A child that was
 * forked before the first runtime of its parent, or after the last one had ended, is like any other
 * process.
 *
 * The forking thread may be a worker and go on, in the child, in the middle of a task. From the
 * fork on it is a plain thread there: weft_self() is NULL, weft_spawn() returns -EPERM, and no path
 * leads to the worker's queues, whose tasks are the parent's to run. When that task returns there
 * is nothing to return to (execute.c, fork.c).
 *
 * Rejected: making runtimes work in the child. Every lock would have to be taken before each fork,
 * liburcu's among them, and the tasks that were running on other threads would be lost all the
 * same.
 *
 * Calls that make no fork handlers run (vfork, posix_spawn, system; clone or _Fork by hand) are no
 * forks here: the first three may only exec anyway.
 */
#include "process.h"

#include "overflow.h"
#include "src/lock.h"
#include "src/sanitizer.h"
#include "tls.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>

/* Under the lock. `live` is also read without it, by the child of a fork: a thread that forks while
 * another changes it cannot care on which side of the change it was. */
static struct weft__lock lock = WEFT__LOCK_INIT;
static _Atomic unsigned live; /* relaxed, therefore */
static bool watching;

static void in_child(void)
{
	if (atomic_load_explicit(&live, memory_order_relaxed) == 0)
		return;
	atomic_store_explicit(&weft__orphaned, true, memory_order_relaxed);
	weft__worker_set(NULL);
}

int weft__process_enter(void)
{
	int rc = 0;

	if (weft__is_orphan())
		return -EPERM;
	weft__lock(&lock);
	if (!watching) {
		san_ignore_begin();
		rc = -pthread_atfork(NULL, NULL, in_child);
		san_ignore_end();
		watching = rc == 0;
	}
	unsigned before = atomic_load_explicit(&live, memory_order_relaxed);
	if (rc == 0) {
		if (before == 0)
			weft__overflow_watch();
		atomic_store_explicit(&live, before + 1, memory_order_relaxed);
	}
	weft__unlock(&lock);
	return rc;
}

void weft__process_leave(void)
{
	weft__lock(&lock);
	unsigned left = atomic_load_explicit(&live, memory_order_relaxed) - 1;
	if (left == 0)
		weft__overflow_unwatch();
	atomic_store_explicit(&live, left, memory_order_relaxed);
	weft__unlock(&lock);
}
