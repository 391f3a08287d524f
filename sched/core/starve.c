/* SPDX-License-Identifier: MIT */
/*
 * Tasks that got no stack when their turn came. An accepted task always runs: it waits here, in a
 * queue of the runtime, until some worker has a stack for it. There is always a stack that can come
 * back (reserve.h). Rejected: a queue per worker. A stack that one worker frees would then be of no
 * use to another worker's tasks.
 *
 * Nothing says when memory becomes free somewhere in the process. So it is asked for again from
 * time to time:
 *
 *  - A worker that was refused a stack is `starving` until it gets one. While it sees only
 *    unstarted tasks it sleeps for STARVE_NS at a time (idle.c), and then tries again. It neither
 *    spins nor sleeps for ever.
 *  - runtime.starving is set for one of three reasons. The system refused the last request, which
 *    may have been for a control block. The reserve is empty. Tasks wait here. The thread that sets
 *    it wakes all sleepers. A woken worker that has a stack ready finds work for it. Any other
 *    worker gives back what it kept before it sleeps again. The flag is cleared under starved_lock,
 *    when the reserve is full and no task waits.
 *  - While the flag is set, a spawn looks for a stack first. It refuses if tasks wait here, or if
 *    the reserve is empty and cannot be filled.
 *
 * The queue holds tasks of all sizes, and some are pinned. A task that cannot be started goes to
 * the tail. So a task of uncommon size never blocks the others for ever.
 */
#include "starve.h"

#include "coros.h"
#include "reserve.h"
#include "rouse.h"
#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/fatal.h"
#include "src/stack/stack.h"
#include "src/stack/stack_holes.h"
#include "src/stack/stack_trim.h"

#include <weft/stats.h>

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

/* How many stacks one look at the queue asks for. */
#define TRIES_MAX 4

static void give_back(struct weft_runtime *rt)
{
	/* relaxed: a hint. A request for memory decides. */
	if (!exchange_relaxed(&rt->starving, 1))
		weft__wake_all(rt);
}

int weft__note_shortage(struct weft_runtime *rt)
{
	weft__stack_trim();
	weft__stack_make_holes(0); /* the heap asks for little */
	give_back(rt);
	return -ENOMEM;
}

/* Notes that stacks are no longer short, if no task waits and the reserve is full. */
static void note_plenty(struct weft_runtime *rt)
{
	/* relaxed, all: hints. The lock decides. */
	if (!load_relaxed(&rt->starving))
		return;
	weft__lock(&rt->starved_lock);
	if (rt->common.coro && load_relaxed(&rt->starved_count) == 0)
		store_relaxed(&rt->starving, 0);
	weft__unlock(&rt->starved_lock);
}

void weft__note_stack(struct worker *w, bool got)
{
	struct weft_runtime *rt = w->rt;

	/* A waiting task may need a larger stack than the one we got. A worker that could not start
	 * it keeps napping. */
	if (!got || load_relaxed(&rt->starved_count) == 0)
		w->duties.starving = !got;
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

/* Prints one line for each runtime. A program whose tasks wait for each other may hang now, or
 * crawl. */
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
	/* relaxed: the exchange ensures that only one caller sees false. */
	if (!load_relaxed(&rt->stack_wait_told) && !exchange_relaxed(&rt->stack_wait_told, true))
		explain_wait(rt);
}

void weft__starved_put(struct worker *w, struct task *t)
{
	struct weft_runtime *rt = w->rt;

	weft__note_stack_wait(w);
	weft__lock(&rt->starved_lock);
	append_locked(rt, t);
	/* relaxed: the lock orders it for sleepers, or a heavy fence in idle.c. */
	fetch_add_relaxed(&rt->starved_count, 1);
	weft__unlock(&rt->starved_lock);
	/* After the count: note_plenty(), which clears the flag, looks at the count. */
	give_back(rt);
	weft__announce(rt);
}

static bool may_run(const struct worker *w, const struct task *t)
{
	return t->pin == TASK_UNPINNED ? !w->duties.retires : t->pin == (int16_t)w->id;
}

/* Takes the first task that w may run out of the queue, and looks at *count tasks at most. The task
 * still counts as waiting. Returns NULL if there is none that no other worker tries at this
 * moment. */
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

/* Ends the borrowing of t, which has a stack now, or goes on waiting. */
static void return_borrowed(struct weft_runtime *rt, struct task *t, bool can_start)
{
	weft__lock(&rt->starved_lock);
	if (!can_start)
		append_locked(rt, t);
	else
		fetch_sub_relaxed(&rt->starved_count, 1);
	weft__unlock(&rt->starved_lock);
}

struct task *weft__starved_take(struct worker *w)
{
	struct weft_runtime *rt = w->rt;
	struct task *found = NULL;

	/* relaxed: a hint. */
	unsigned count = load_relaxed(&rt->starved_count);
	if (count == 0)
		return NULL;
	/* Under the lock no memory is mapped, and nobody is woken. */
	for (unsigned tries = 0; !found && tries < TRIES_MAX; tries++) {
		struct task *t = borrow(w, &count);
		if (!t)
			break;
		bool can_start = weft__can_start_task(w, t);
		return_borrowed(rt, t, can_start);
		if (can_start)
			found = t;
	}
	/* If there is a task that it cannot run, it looks again after a while. */
	w->duties.starving = !found;
	return found;
}

__attribute__((noinline)) bool weft__refuses_tasks(struct weft_runtime *rt, struct worker *w)
{
	if (load_relaxed(&rt->starved_count) > 0)
		return true;
	if (w && w->coros.first)
		return false;
	if (!weft__reserve_ensure(rt))
		return true;
	note_plenty(rt);
	return false;
}
