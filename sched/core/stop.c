/* SPDX-License-Identifier: MIT */
/*
 * The end of a runtime's work: the workers stop once no task is live, and none will be.
 *
 * `closing` says that the runtime ends once no task is live. weft_run() sets it with its first task,
 * weft_runtime_destroy() when it is called. From then on each worker that goes to sleep, or ends,
 * checks whether a task is live. The last one to do so stops all workers.
 */
#include "stop.h"

#include "rouse.h"
#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/futex.h"

/*
 * Ends are counted before starts. Both numbers only grow. A thread that sees a task's end also sees
 * the spawn of that task, and of the tasks that it had spawned (end_task() releases). So if the two
 * sums are equal, nothing was live between the two counts.
 */
bool weft__all_ended(struct weft_runtime *rt)
{
	/* acquire: pairs with the release that published the record. */
	unsigned count = load_acquire(&rt->record_count);
	uint64_t ended = 0;

	for (unsigned i = 0; i < count; i++)
		ended += load_acquire(&rt->records[i]->counters.completed);
	/* Read again: a worker may have been added meanwhile. It may have counted spawns of tasks
	 * whose ends were counted above. */
	count = load_acquire(&rt->record_count);
	uint64_t spawned = load_relaxed(&rt->injected_spawned);
	for (unsigned i = 0; i < count; i++)
		spawned += load_relaxed(&rt->records[i]->counters.spawned);
	return ended == spawned;
}

void weft__stop(struct weft_runtime *rt)
{
	/* release: pairs with the acquire in weft__find(). */
	store_release(&rt->stopped, 1);
	weft__futex_wake(&rt->stopped, 1);
	weft__wake_all(rt);
}

/*
 * Ends a runtime that is closing once nothing is live in it. Every worker that ceases to be active
 * calls it after its heavy fence. So the last one sees all ends.
 */
void weft__stop_if_over(struct weft_runtime *rt)
{
	/* acquire: pairs with the release in run() and weft_runtime_destroy(). */
	if (load_acquire(&rt->closing) && weft__all_ended(rt))
		weft__stop(rt);
}
