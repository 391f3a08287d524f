/* SPDX-License-Identifier: MIT */
/*
 * Visitors: threads that work in rt and are not its workers. The runtime's end waits until all
 * visitors have left. Otherwise it could free what they still look at:
 *
 *   - A thread that submits, wakes or joins makes a task runnable, or lets a task go on. That task
 *     may be the last one.
 *   - The last task may end while another thread is still detaching, counting or resizing.
 *
 * A count protects only if it is raised while the runtime is certainly alive. The public rule
 * (runtime.h) is that something keeps the runtime alive until a call from outside takes effect. So
 * a call raises the count before it does anything that others can see. The consequences of its
 * effect come after the count, and so does the end of the runtime.
 *
 * weft_cancel() is not a visitor. The task that it cancels waits for it (cancel.c), and the
 * runtime's end waits for that task. A call that reads only one word of the runtime needs no visit
 * either: the visit would be a second access of the same kind.
 */
#ifndef WEFT_CORE_VISIT_H
#define WEFT_CORE_VISIT_H

#include "runtime.h"
#include "src/base/atomic.h"

static inline void visit_begin(struct weft_runtime *rt)
{
	/* relaxed: the queue or the registered joiner publishes the count, before the task can
	 * end. */
	fetch_add_relaxed(&rt->visitors, 1);
}

static inline void visit_end(struct weft_runtime *rt)
{
	/* release: our last look at the runtime. Pairs with the acquire in weft__workers_join(). */
	fetch_sub_release(&rt->visitors, 1);
}

#endif
