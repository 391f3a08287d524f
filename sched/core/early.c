/* SPDX-License-Identifier: MIT */
/*
 * Early wakes: wakes that come before their task is parked.
 *
 * The problem. A waiting task becomes visible to wakers before it has left its stack. Usually it
 * leaves its stack within some ten nanoseconds. So a waker just looks again until it finds PARKED.
 * But the task's thread may need longer. The kernel may take its processor away. The thread may
 * start another thread for a blocking call, or wake another worker. It makes stacks for the next
 * task only after the switch, so these are no reason (pick.c). A waker that went on looking would
 * lose the same time, and so would all tasks of its own worker.
 *
 * The design. A waker looks for about as long as a heavy fence takes (wait.c). Then it leaves the
 * task in a list of the runtime, and goes on. A worker that has parked a task looks whether the
 * list is empty. If it is not, the worker makes the parked tasks of the list runnable.
 *
 *   the worker that parks t                the waker of t
 *   (park_outgoing())
 *     store PARKED                           lock; put t into the list, count it; unlock
 *     light fence                            heavy fence
 *     load the count                         lock; take parked tasks out of the list; unlock
 *     not 0: collect, as the waker does      make them runnable
 *
 * Store-load race: at least one side sees the other's store. Both may, and then the lock decides.
 * So t is made runnable exactly once, by the side that takes it out of the list.
 *
 * After its first unlock the waker must not touch t. Another thread may have collected t, and t may
 * have ended. So the waker looks at the tasks that the list now holds, whichever they are. The wake
 * of each of them has been claimed and not carried out, so each of them lives. A new task may lie
 * at t's address. It is then in the list for the same reason, and any thread that finds it parked
 * may make it runnable.
 *
 * The worker that parks t must not touch t after it has stored PARKED. It looks at the count alone.
 *
 * The light fence may only stop the compiler. Then the count begins at 0, and no look at the mode
 * of the fences is needed before the count. If the light fence is a full fence, the count begins at
 * 1. Then each worker that parks a task comes here every time, and has its fence here.
 *
 * The list holds at most one task for each worker that is on the way to its switch, besides those
 * that are about to be collected.
 *
 * Rejected designs.
 *  - The waker waits. It needs nothing of the other side, but it may wait for milliseconds.
 *  - The waker leaves a note in the task, and the parking worker exchanges `park` rather than
 *    storing it. Each wait would then need two more locked operations.
 *  - The task picks what runs next, with a stack for it, before its wait begins. Each primitive
 *    would have to give the pick back if the wait ends at once. And a thread may still lose its
 *    processor just there.
 */
#include "early.h"

#include "ready.h"
#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/fence.h"
#include "tls.h"
#include "visit.h"
#include "wait.h"

/* Makes the parked tasks of the list runnable. The caller is a worker of rt or a visitor. */
static void collect(struct weft_runtime *rt)
{
	struct early *early = &rt->early;
	struct task *found = NULL, *t;

	weft__lock(&early->lock);
	for (struct task **link = &early->first; (t = *link);) {
		if (!weft__parked(t)) {
			link = (struct task **)&t->link.opaque;
			continue;
		}
		*link = t->link.opaque;
		t->link.opaque = found;
		found = t;
		/* relaxed: only holders of the lock write it. */
		fetch_sub_relaxed(&rt->early_count, 1);
	}
	weft__unlock(&early->lock);
	while ((t = found)) {
		found = t->link.opaque;
		weft__ready(t);
	}
}

void weft__early_init(struct weft_runtime *rt)
{
	WEFT__SET_RANK(&rt->early.lock, EARLY);
	rt->early.none = weft__fence_light_is_free() ? 0 : 1;
	atomic_init(&rt->early_count, rt->early.none);
}

__attribute__((noinline, cold)) void weft__early_parked(struct weft_runtime *rt)
{
	weft__fence_light(); /* store-load race with weft__early_put(): see above */
	/* relaxed: the fences order it. */
	if (load_relaxed(&rt->early_count) != rt->early.none)
		collect(rt);
}

void weft__early_put(struct task *t)
{
	struct weft_runtime *rt = t->rt;
	struct worker *w = weft__worker();
	bool visits = !w || w->rt != rt;

	if (visits)
		visit_begin(rt);
	weft__lock(&rt->early.lock);
	t->link.opaque = rt->early.first;
	rt->early.first = t;
	/* relaxed: the fences order it. */
	fetch_add_relaxed(&rt->early_count, 1);
	weft__unlock(&rt->early.lock);
	/* store-load race with park_outgoing(): see above */
	weft__fence_heavy();
	collect(rt);
	if (visits)
		visit_end(rt);
}
