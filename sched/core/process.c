/* SPDX-License-Identifier: MIT */
/*
 * Orphans: processes whose parent had a live runtime when it forked. A child is not an orphan if it
 * was forked before the first runtime of its parent, or after the last one had ended.
 *
 * The forking thread may be a worker. In the child it goes on in the middle of a task. From the
 * fork on it is a plain thread there: weft_self() is NULL, and weft_spawn() returns -EPERM. No path
 * leads to the worker's queues, whose tasks the parent runs. When that task returns there is
 * nothing to return to (execute.c, fork.c).
 *
 * Rejected: making runtimes work in the child. Every lock of every runtime would have to be taken
 * before each fork(), liburcu's among them. The tasks that ran on other threads would still be
 * lost. The locks that belong to the process are taken (src/base/process_locks.h). So plain
 * coroutines work in any child.
 *
 * Some calls run no fork handlers: vfork, posix_spawn, system, and clone or _Fork by hand. They do
 * not count as forks here. A child of the first three may only exec anyway.
 */
#include "process.h"

#include "family.h"
#include "overflow.h"
#include "src/base/atomic.h"
#include "src/base/orphan.h"
#include "src/base/process_locks.h"
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

	store_relaxed(&weft__orphaned, true);
	/* For its return, in case it is a fork. A scope stands for the task that has begun it. */
	for (struct task *t = w ? w->task : NULL; t;
	     t = t->flags & TASK_SCOPE ? family_parent(t) : NULL)
		t->flags |= TASK_ORPHAN;
	weft__worker_set(NULL, false);
	weft__set_blocking_for(NULL);
}

int weft__process_enter(void)
{
	if (weft__is_orphan())
		return -EPERM;
	int rc = weft__process_locks_register();
	if (rc < 0)
		return rc;
	weft__lock_process(WEFT__LOCK_PROCESS);
	weft__process_forked = in_child;
	if (live++ == 0)
		weft__overflow_install();
	weft__unlock_process(WEFT__LOCK_PROCESS);
	return 0;
}

void weft__process_leave(void)
{
	weft__lock_process(WEFT__LOCK_PROCESS);
	if (--live == 0)
		weft__overflow_uninstall();
	weft__unlock_process(WEFT__LOCK_PROCESS);
}
