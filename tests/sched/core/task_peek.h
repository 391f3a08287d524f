/* SPDX-License-Identifier: MIT */
/*
 * Looking into a task: whether it waits. So that a test knows that somebody waits, without
 * sleeping.
 */
#ifndef WEFT_TESTS_SCHED_CORE_TASK_PEEK_H
#define WEFT_TESTS_SCHED_CORE_TASK_PEEK_H

#include "harness.h"

#include "sched/core/task.h"

/*
 * Lets the others run until the task waits for the first time, or has ended. From a task or a
 * thread. The task must not have waited before: PARKED stays until a woken task runs. The caller
 * holds the handle. false: it never came to that.
 */
static inline bool await_waiting(weft_task *task)
{
	struct task *t = task_of_handle(task);
	int64_t lost = weft_after(LOST_NS);

	/* relaxed, both: only their values count. What the task did before, the tests order by what
	 * it waits for. */
	while (atomic_load_explicit(&t->park, memory_order_relaxed) != PARK_PARKED &&
	       atomic_load_explicit(&t->join, memory_order_relaxed) != JOIN_DONE) {
		if (weft_now() > lost)
			return false;
		weft_yield();
	}
	return true;
}

#endif
