/* SPDX-License-Identifier: MIT */
/*
 * Due tasks: tasks that must not wait behind all that a busy worker has queued.
 *
 * The problem. Two kinds of task go to no worker in particular: a task that a plain thread wakes or
 * submits, and a task whose deadline has passed. A sleeping worker is woken for them. If every
 * worker is busy, each looks for them only at every 64th pick, and a pick can be a millisecond away
 * from the next one.
 *
 * The design. The word runtime.idle has a bit DUE beside its counts. A thread that makes such a
 * task available sets DUE if no worker sleeps. Each pick looks at the bit, and so does each fork.
 * The first worker that sees it switches to its leader. The leader clears the bit, runs the timers,
 * and takes one task from the injection queue, which runs at once (serve_due() in find.c). If more
 * tasks are left there, the leader sets the bit again, so another worker serves the next one. A
 * worker serves at most every second pick this way, so its own tasks get the other half of the
 * picks. A pick that serves does not count: the promise of pick.c is about the picks that follow
 * the order.
 *
 * Rejected: a batch for each service. Its tasks would wait in one worker's ring, behind that
 * worker's other tasks.
 *
 * Rejected: a flag in every worker. The thread that sets it would write to as many cache lines as
 * there are workers, and all of them would serve.
 *
 *   a thread or a worker that injects     a worker that serves
 *     store the task in the queue           clear DUE
 *     full fence                            full fence
 *     load idle                             load the queue
 *     DUE is set already: done
 *
 * Store-load race: at least one side sees the other's store. Either the injector sees DUE cleared,
 * and sets it again, or the server sees the task.
 *
 * DUE excludes sleepers. A compare-and-swap sets it, and only if no worker sleeps. A worker clears
 * it in the same step in which it becomes a sleeper, and then looks at everything that DUE stands
 * for. So an idle runtime has no DUE. The hot paths make one test, whether the high half of idle is
 * 0. It is not 0 if a worker can be woken, if something is due, or if WEFT_CHAOS is on. Retiring
 * workers do not count as sleepers, here as elsewhere.
 *
 * An injector that sees a searcher leaves the task to it. The last searcher looks at the injection
 * queue when it stops, and calls weft__announce_due() for the tasks that it leaves there. For the
 * race, see weft__search_stop().
 *
 * A task that forks and joins makes no picks. So a fork that sees DUE makes the next join take the
 * slow way, which gives way (fork.c). Such a task then goes on for SLICE_NS at least. So a flood of
 * due tasks leaves it a slice after each task that is served.
 *
 * Pinned tasks are not due. Only their own worker can run them, and DUE calls any worker. They wait
 * in that worker's inbox until its order of picks comes there (find.c).
 *
 * While a ring overflows, the injection queue is that ring's tail (ready.c). Its tasks are not due.
 * So a worker whose ring overflows does not set DUE for the tasks that it leaves there.
 */
#include "due.h"

#include "execute.h"
#include "pick.h"
#include "rouse.h"
#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/fence.h"

/* A task that forks and joins goes on for this long, once it runs again, before it gives way
 * again. */
#define SLICE_NS ((int64_t)50000)

bool weft__set_due(struct weft_runtime *rt)
{
	/* relaxed: the caller's fence orders the task that is due. */
	uint64_t idle = load_relaxed(&rt->idle);

	do {
		if (SLEEPERS(idle) > 0)
			return false;
		if (idle & DUE)
			return true;
		/* seq_cst: as for the counts. It is simpler to read. */
	} while (!cas_weak_seq_cst(&rt->idle, &idle, idle | DUE));
	return true;
}

void weft__clear_due(struct weft_runtime *rt)
{
	if (!is_due(rt))
		return;
	/* seq_cst: as in weft__set_due(). */
	fetch_and_seq_cst(&rt->idle, ~DUE);
	/* store-load race with weft__announce_due(): DUE, then the injection queue */
	weft__fence_full();
}

void weft__announce_due(struct weft_runtime *rt)
{
	/* store-load race with weft__clear_due(), weft__search_stop() and weft__sleep(): the task,
	 * then idle. The fence is full, because a thread that is not a worker may come here. */
	weft__fence_full();
	for (;;) {
		uint64_t idle = load_relaxed(&rt->idle);

		if (SEARCHERS(idle) > 0)
			return;
		if (SLEEPERS(idle) > 0 ? weft__wake_searcher(rt) : weft__set_due(rt))
			return;
	}
}

struct worker *weft__let_due_run(struct worker *w)
{
	if (weft__clock_now() - w->patience.gave_way_at < SLICE_NS)
		return w;
	if (w->duties.retires) {
		w = give_way(w);
	} else {
		/* relaxed: only we write it. */
		w->pick.served_at = load_relaxed(&w->picks);
		w->pick.fair = w->pick.due = true;
		w = weft__suspend(w, FATE_QUEUE, NULL);
	}
	/* The time after it gave way, not before: the due tasks may have taken longer than a
	 * slice. */
	w->patience.gave_way_at = weft__clock_now();
	return w;
}
