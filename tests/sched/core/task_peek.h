/* SPDX-License-Identifier: MIT */
/*
 * Looks into a task: whether it waits. So a test can know of a waiting task without a sleep.
 */
#ifndef WEFT_TESTS_SCHED_CORE_TASK_PEEK_H
#define WEFT_TESTS_SCHED_CORE_TASK_PEEK_H

#include "harness.h"

#include "sched/core/task.h"

/*
 * Lets others run until the task waits for the first time, or has ended. From a task or a thread.
 * The caller holds the handle. The task must not have waited before, because PARKED stays until a
 * woken task runs. Returns false if neither happens.
 */
static inline bool await_waiting(weft_task *task)
{
	struct task *t = task_of_handle(task);
	int64_t lost = weft_after(LOST_NS);

	/* relaxed, both: only their values count. The tests order the task's earlier actions by the
	 * thing that it waits for. */
	while (atomic_load_explicit(&t->park, memory_order_relaxed) != PARK_PARKED &&
	       atomic_load_explicit(&t->join, memory_order_relaxed) != JOIN_DONE) {
		if (weft_now() > lost)
			return false;
		weft_yield();
	}
	return true;
}

#endif
