/* SPDX-License-Identifier: MIT */
/*
 * Tasks for which no stack could be had when their turn came. An accepted task always runs: it
 * waits here, in a queue of the runtime, until some worker has a stack for it. (Rejected: a queue
 * per worker. A stack that one worker frees is then of no use to another's tasks.) There is always
 * a stack that can come back: see reserve.h.
 *
 * Nothing tells when memory becomes free somewhere in the process, so it is asked for again from
 * time to time:
 *
 *  - A worker that was refused a stack is `starving` until it gets one. While it sees nothing but
 *    unstarted tasks it sleeps for STARVE_NS at a time (park.c), and then tries again. It neither
 *    spins nor sleeps for ever.
 *  - runtime.starving says that the system refused the last request, also one for a control block;
 *    or that the reserve is empty; or that tasks wait here. Whoever sets it wakes all sleepers: each
 *    either has a stack ready and finds work for it, or gives back what it kept before it sleeps
 *    again. It is cleared under starved_lock, when the reserve is full and no task waits.
 *  - While it is set, spawning looks for a stack first. It refuses if tasks wait here, or if the
 *    reserve is empty and cannot be filled.
 *
 * In the queue are tasks of all sizes, some pinned. A task that cannot be started goes to the tail,
 * so that none of uncommon size is in the way of the others for ever.
 */
#include "runtime.h"
#include "src/fatal.h"
#include "src/stack.h"

#include <weft/stats.h>

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

/* How many stacks are asked for in one look at the queue. */
#define TRIES_MAX 4

static void give_back(struct weft_runtime *rt)
{
	/* relaxed: a hint; what it leads to is decided by asking for memory. */
	if (!atomic_exchange_explicit(&rt->starving, 1, memory_order_relaxed))
		weft__wake_all(rt);
}

int weft__note_shortage(struct weft_runtime *rt)
{
	weft__stack_trim();
	give_back(rt);
	return -ENOMEM;
}

/* Stacks are short no more, if no task waits and the reserve is full. */
static void note_plenty(struct weft_runtime *rt)
{
	/* relaxed, all: hints; what they lead to is decided under the lock. */
	if (!atomic_load_explicit(&rt->starving, memory_order_relaxed))
		return;
	weft__lock(&rt->starved_lock);
	if (rt->common.coro && atomic_load_explicit(&rt->starved_count, memory_order_relaxed) == 0)
		atomic_store_explicit(&rt->starving, 0, memory_order_relaxed);
	weft__unlock(&rt->starved_lock);
}

void weft__note_stack(struct worker *w, bool got)
{
	struct weft_runtime *rt = w->rt;

	/* One task that waits may need more than what was got: who could not start it goes on
	 * sleeping in between. */
	if (!got || atomic_load_explicit(&rt->starved_count, memory_order_relaxed) == 0)
		w->starving = !got;
	if (got)
		note_plenty(rt);
	else
		give_back(rt);
}

static void append_locked(struct weft_runtime *rt, struct task *t)
{
	t->link.opaque = NULL;
	*rt->starved_tail = t;
	rt->starved_tail = (struct task **)&t->link.opaque;
}

static struct task *pop_locked(struct weft_runtime *rt)
{
	struct task *t = rt->starved_head;

	rt->starved_head = t->link.opaque;
	if (!rt->starved_head)
		rt->starved_tail = &rt->starved_head;
	return t;
}

/* One line for each runtime. A program whose tasks wait for each other may hang now, or crawl. */
static __attribute__((noinline, cold)) void explain_wait(struct weft_runtime *rt)
{
	struct stack_counts stacks;
	struct weft_stats tasks;
	struct rlimit limit;
	char why[80] = "the system refuses more memory or mappings: free some";

	if (weft_runtime_stats(rt, &tasks) < 0)
		return;
	weft__stack_counts(&stacks);
	if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		snprintf(why, sizeof why,
			 "the limit of address space is %llu KiB: raise it (ulimit -v)",
			 (unsigned long long)limit.rlim_cur >> 10);
	weft__warn("tasks wait for stacks: %llu tasks are live, %zu stacks of %zu KiB are in use, "
		   "and %s, lower WEFT_STACK_SIZE, or have fewer tasks at a time",
		   (unsigned long long)tasks.live, stacks.used, rt->config.stack_size >> 10, why);
}

void weft__note_stack_wait(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	counter_add(&w->counters.stack_waits, 1);
	/* relaxed: only one may see false, which the exchange ensures. */
	if (!atomic_load_explicit(&rt->stack_wait_told, memory_order_relaxed) &&
	    !atomic_exchange_explicit(&rt->stack_wait_told, true, memory_order_relaxed))
		explain_wait(rt);
}

void weft__starved_put(struct worker *w, struct task *t)
{
	struct weft_runtime *rt = w->rt;

	weft__note_stack_wait(w);
	weft__lock(&rt->starved_lock);
	append_locked(rt, t);
	/* relaxed: for those who sleep the lock or, in park.c, a heavy fence orders it. */
	atomic_fetch_add_explicit(&rt->starved_count, 1, memory_order_relaxed);
	weft__unlock(&rt->starved_lock);
	/* After the count: whoever clears the flag looks at that (note_plenty()). */
	give_back(rt);
	weft__announce(rt);
}

static bool may_run(const struct worker *w, const struct task *t)
{
	return t->pin == TASK_UNPINNED ? !w->retires : t->pin == (int16_t)w->id;
}

/* Takes the first task that w may run out of the queue, which is looked at up to *count times. It
 * still counts as one that waits. NULL: none that nobody else tries at this moment. */
static struct task *borrow(struct worker *w, unsigned *count)
{
	struct weft_runtime *rt = w->rt;
	struct task *found = NULL;

	weft__lock(&rt->starved_lock);
	while (!found && *count > 0 && rt->starved_head) {
		struct task *t = pop_locked(rt);
		--*count;
		if (may_run(w, t))
			found = t;
		else
			append_locked(rt, t);
	}
	weft__unlock(&rt->starved_lock);
	return found;
}

/* t, which was borrowed, has a stack or waits on. */
static void settle_borrowed(struct weft_runtime *rt, struct task *t, bool can_start)
{
	weft__lock(&rt->starved_lock);
	if (!can_start)
		append_locked(rt, t);
	else
		atomic_fetch_sub_explicit(&rt->starved_count, 1, memory_order_relaxed);
	weft__unlock(&rt->starved_lock);
}

struct task *weft__starved_take(struct worker *w)
{
	struct weft_runtime *rt = w->rt;
	struct task *found = NULL;

	/* relaxed: a hint. */
	unsigned count = atomic_load_explicit(&rt->starved_count, memory_order_relaxed);
	if (count == 0)
		return NULL;
	/* No memory is mapped under the lock, and nobody woken. */
	for (unsigned tries = 0; !found && tries < TRIES_MAX; tries++) {
		struct task *t = borrow(w, &count);
		if (!t)
			break;
		bool can_start = weft__can_start_task(w, t);
		settle_borrowed(rt, t, can_start);
		if (can_start)
			found = t;
	}
	/* If there is something that it cannot run it looks again after a while. */
	w->starving = !found;
	return found;
}

__attribute__((noinline)) bool weft__refuses_tasks(struct weft_runtime *rt, struct worker *w)
{
	if (atomic_load_explicit(&rt->starved_count, memory_order_relaxed) > 0)
		return true;
	if (w && w->idle_coros)
		return false;
	if (!weft__reserve_ensure(rt))
		return true;
	note_plenty(rt);
	return false;
}
