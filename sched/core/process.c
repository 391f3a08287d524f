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
 * Rejected: making runtimes work in the child. Every lock of every runtime would have to be taken
 * before each fork, liburcu's among them, and the tasks that were running on other threads would be
 * lost all the same. The locks that belong to the process are taken (src/process_locks.h): plain
 * coroutines work in any child.
 *
 * Calls that make no fork handlers run (vfork, posix_spawn, system; clone or _Fork by hand) are no
 * forks here: the first three may only exec anyway.
 */
#include "process.h"

#include "overflow.h"
#include "src/process_locks.h"
#include "tls.h"
#include "worker.h"

#include <errno.h>
#include <stddef.h>

/* How many runtimes are alive. Under WEFT__LOCK_PROCESS, which the parent holds while it forks. */
static unsigned live;

static void in_child(void)
{
	if (live == 0)
		return;
	struct worker *w = weft__worker();

	atomic_store_explicit(&weft__orphaned, true, memory_order_relaxed);
	if (w && w->task)
		w->task->flags |= TASK_ORPHAN; /* for its return, should it be a fork */
	weft__worker_set(NULL, false);
	weft__serve(NULL);
}

int weft__process_enter(void)
{
	if (weft__is_orphan())
		return -EPERM;
	int rc = weft__process_locks_watch();
	if (rc < 0)
		return rc;
	weft__lock_process(WEFT__LOCK_PROCESS);
	weft__process_forked = in_child;
	if (live++ == 0)
		weft__overflow_watch();
	weft__unlock_process(WEFT__LOCK_PROCESS);
	return 0;
}

void weft__process_leave(void)
{
	weft__lock_process(WEFT__LOCK_PROCESS);
	if (--live == 0)
		weft__overflow_unwatch();
	weft__unlock_process(WEFT__LOCK_PROCESS);
}
