/* SPDX-License-Identifier: MIT */
/*
 * Wakes that come before their task is parked.
 *
 * The problem. A waiting task becomes visible to wakers before it has left its stack. Usually it
 * leaves it within some ten nanoseconds, so a waker just looks again until it finds PARKED. But the
 * task's thread may need long: the kernel may take its processor away, or the thread starts another
 * one for a blocking call, or wakes another worker. (Stacks for what runs next are made after the
 * switch: see pick.c.) A waker that looks on and on would lose that time too, and with it all tasks
 * of its own worker.
 *
 * The design. A waker looks for about as long as a heavy fence takes (wait.c). Then it leaves the
 * task in a list of the runtime and goes on. Whoever parks a task looks whether the list is empty,
 * and makes the parked ones in it runnable.
 *
 *   who parks t (park_leaving())           waker of t
 *     store PARKED                           lock; put t into the list, count it; unlock
 *     light fence                            heavy fence
 *     load the count                         lock; take what is parked out of the list; unlock
 *     not 0: collect, as the waker does      make that runnable
 *
 * Store-load race: at least one side sees the other. Both may, and then the lock decides. So t is
 * made runnable exactly once, by whoever takes it out of the list.
 *
 * After the first unlock the waker must not touch t: another thread may have collected it, and it
 * may have ended. So the waker looks at what is in the list, whatever that is. The list holds tasks
 * whose wake has been claimed and not been carried out, hence they live. Should there be a new task
 * at t's address, then it is in the same state, and whoever finds it parked may make it runnable.
 * Likewise whoever has stored PARKED must not touch t any more, and looks at the count alone.
 *
 * Where the light fence only stops the compiler, no look at the fences' mode is needed before the
 * count. Where it is a full fence, the count begins at 1: then whoever parks a task comes here each
 * time, and has its fence here.
 *
 * The list holds at most one task for each worker that is on the way to its switch, besides those
 * that are about to be collected.
 *
 * Rejected designs.
 *  - The waker waits. It needs nothing of the other side, and may take milliseconds.
 *  - The waker leaves a note in the task, and who parks it exchanges `park` rather than storing it.
 *    Each wait would then take two locked operations more.
 *  - The task picks what runs next, with a stack for it, before its wait begins. Each primitive
 *    would have to give the pick back where the wait ends at once, and a thread may still lose its
 *    processor just there.
 */
#include "early.h"

#include "runtime.h"
#include "sched/os/membarrier.h"
#include "wait.h"

/* Makes the parked tasks of the list runnable. By any thread, which is a worker or a visitor. */
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
		/* relaxed: only the lock's holders write it. */
		atomic_fetch_sub_explicit(&rt->early_count, 1, memory_order_relaxed);
	}
	weft__unlock(&early->lock);
	while ((t = found)) {
		found = t->link.opaque;
		weft__ready(t);
	}
}

void weft__early_init(struct weft_runtime *rt)
{
	rt->early.none = weft__fence_light_is_free() ? 0 : 1;
	atomic_init(&rt->early_count, rt->early.none);
}

__attribute__((noinline, cold)) void weft__early_parked(struct weft_runtime *rt)
{
	weft__fence_light(); /* store-load race with weft__early_leave(): see above */
	/* relaxed: the fences order it. */
	if (atomic_load_explicit(&rt->early_count, memory_order_relaxed) != rt->early.none)
		collect(rt);
}

void weft__early_leave(struct task *t)
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
	atomic_fetch_add_explicit(&rt->early_count, 1, memory_order_relaxed);
	weft__unlock(&rt->early.lock);
	/* store-load race with park_leaving(): see above */
	weft__fence_heavy();
	collect(rt);
	if (visits)
		visit_end(rt);
}
