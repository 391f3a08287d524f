/* SPDX-License-Identifier: MIT */
/*
 * Running tasks: the direct switch from one task to the next, and the end of a task. coros.c has the
 * coroutines that they run on.
 *
 * Switching. A task that suspends looks at its own worker's queues and switches straight to the
 * task that it finds there. If it finds none, it switches to the leader, which searches and sleeps.
 * A coroutine whose task has ended runs the next unstarted task on its own stack, with no switch at
 * all. Otherwise the ended task's coroutine jumps away. It is started again later, from the top,
 * for another task.
 *
 * Rejected: always a switch to the leader first, as most libraries do. That is simpler, and costs a
 * second switch each time.
 *
 * Publish only after the switch. The switch saves the context of the coroutine that is replaced.
 * Before that nobody may be able to resume the coroutine, or to reuse its stack. So the outgoing
 * coroutine notes in worker.outgoing what must become of it. The next coroutine on that thread does
 * that first of all, in settle(). Every resume path begins with settle():
 *
 *  - weft__suspend() and start(), after their switch
 *  - weft__task_main(), at its top
 *  - weft__execute(), when the leader is back
 *
 * The switch returns the worker that resumed, so hot code has the right worker in a register. The
 * worker from before the switch belongs to another thread and must not be used.
 */
#include "execute.h"

#include "coros.h"
#include "early.h"
#include "family.h"
#include "identity.h"
#include "pick.h"
#include "ready.h"
#include "reserve.h"
#include "rouse.h"
#include "runtime.h"
#include "scope.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/compiler.h"
#include "src/base/fatal.h"
#include "src/base/orphan.h"
#include "src/task_fiber.h"
#include "tls.h"
#include "unwind.h"
#include "wait.h"

/*
 * ThreadSanitizer sees no order among tasks just because they run on one thread. But the hook
 * worker_start() comes before all of them, and worker_stop() after all of them. These two functions
 * say so. Their other sides are in weft__worker_loop().
 */
static inline void san_after_start_hook(struct worker *w)
{
	if (w->rt->hooks.start)
		san_acquire(&w->leader);
}

static inline void san_before_stop_hook(struct worker *w)
{
	if (w->rt->hooks.stop)
		san_release(&w->outgoing.fate);
}

/* As weft__ready_tail(), but makes no call in the ordinary case. */
static inline __attribute__((always_inline)) void ready_tail(struct worker *w, struct task *t)
{
	if (likely(t->pin == TASK_UNPINNED && !w->pick.overflowed && !w->rt->config.chaos.on &&
		   weft__ring_push(&w->ring, t, coro_hint(t->coro))))
		announce(w->rt);
	else
		weft__ready_tail(w, t);
}

static __attribute__((noinline)) void settle_rare(struct worker *w, enum fate fate)
{
	switch (fate) {
	case FATE_NONE:
	case FATE_PARK:
	case FATE_QUEUE:
		break;
	case FATE_KEEP:
		weft__keep_coro(w, w->outgoing.coro);
		break;
	case FATE_FREE:
		weft__reserve_leave(w->rt, w->outgoing.reserve, w->outgoing.coro);
		if (weft__depot_note(&w->rt->depot))
			weft__depot_begins(w);
		break;
	}
}

/* Announces a deadline that w has armed, if there is one. This may be a system call, so it comes
 * after the task that armed the deadline is parked. A leader does not announce it here: it may be
 * about to sleep, and then it looks at all deadlines. */
static inline void announce_armed(struct worker *w)
{
	if (unlikely(w->duties.timer_armed) && w->task)
		weft__announce_timer(w);
}

/* Parks the outgoing task. After the store the task may go on elsewhere, so this worker does not
 * touch it any more. */
static inline __attribute__((always_inline)) void park_outgoing(struct worker *w)
{
	/* release: publishes the saved context, to the waker's acquire in weft__parked()
	 * (wait.h). */
	store_release(&w->outgoing.task->park, PARK_PARKED);
	/* Store-load race with weft__early_put(): see early.c. The seq_cst fence stops only the
	 * compiler. If the processor needs a fence too, the count is never 0. */
	atomic_signal_fence(memory_order_seq_cst);
	/* relaxed: the fences order it. */
	if (unlikely(load_relaxed(&w->rt->early_count)))
		weft__early_parked(w->rt);
	announce_armed(w);
}

static inline __attribute__((always_inline)) void settle(struct worker *w)
{
	enum fate fate = w->outgoing.fate;

	san_after_start_hook(w);
	w->outgoing.fate = FATE_NONE;
	if (likely(fate == FATE_PARK))
		park_outgoing(w);
	else if (fate == FATE_QUEUE)
		ready_tail(w, w->outgoing.task);
	else if (likely(fate == FATE_KEEP && w->coros.count < DEPOT_CHAIN))
		link_coro(w, w->outgoing.coro);
	else if (fate != FATE_NONE)
		settle_rare(w, fate);
}

/* Notes that t runs on w next. Returns co, on which it runs. */
static inline __attribute__((always_inline)) struct coro *run_on(struct worker *w, struct task *t,
								 struct coro *co)
{
	w->task = t;
	w->inlining.span = 0; /* a join sets it: allow_inlining_here() in fork.c */
	counter_add(&w->counters.switches, 1);
	return co;
}

/*
 * The fork t is about to start on co, on which a task has ended before. Aborts if t's storage is in
 * that stack: then its parent has ended without joining it. A fork that was stolen is not found in
 * this way.
 */
static __attribute__((noinline)) void check_fork(struct task *t, const struct coro *co)
{
	char text[WEFT__TASK_TEXT];

	if ((char *)t < co->stack.low || (char *)t >= co->stack.top)
		return;
	weft__describe_task(t, text);
	weft__fatal("weft_fork: %s was not joined by the task that forked it, which has ended",
		    text);
}

/* Returns the coroutine on which to start t next on w. t has no coroutine yet. */
static inline __attribute__((always_inline)) struct coro *take_idle(struct worker *w,
								    struct task *t)
{
	struct coro *co = w->coros.first; /* not NULL: the pickers made sure */

	w->coros.first = co->next;
	w->coros.count--;
	fetch_ahead(w);
	if (unlikely(t->flags & TASK_FORK))
		check_fork(t, co);
	return run_on(w, t, co);
}

/* Returns the coroutine of t, which has started, to be resumed next on w. */
static inline __attribute__((always_inline)) struct coro *take_up(struct worker *w, struct task *t)
{
	if (unlikely(t->home != w->id))
		counter_add(&w->counters.hops, 1);
	return run_on(w, t, t->coro);
}

/* Returns the leader's coroutine, to be resumed next on w. */
static inline struct coro *step_down(struct worker *w)
{
	w->task = NULL;
	return w->leader;
}

/* The part of end_task() that only tasks with flags need. */
static __attribute__((noinline)) void end_flagged(struct worker *w, struct task *t)
{
	if (family_listed(t))
		weft__family_leave(t);
	if (t->flags & TASK_PINNED)
		w->pinned--;
}

/*
 * Ends t, which has run on w. Returns its joiner if that is to run next, or else NULL.
 *
 * Store-load race with a joiner that gives up (join.c): we store `ending`, then read `join`. The
 * joiner takes itself out of `join`, then reads `ending`, with the heavy fence. Either we do not
 * find the joiner, or it waits for DONE. So the waiter's frame lives while we look at it.
 */
static struct task *end_task(struct worker *w, struct task *t, void *result)
{
	struct wakeup wakeup;
	uint16_t flags = t->flags;

	if (unlikely(flags != 0))
		end_flagged(w, t);
	t->value = result;
	/* All that t has done happens before the end of the runtime, which may come once this end
	 * is counted. */
	san_release(t);
	san_release(w->rt);
	san_before_stop_hook(w);
	/* release: a thread that counts this end has also seen t's spawn and the tasks that t
	 * spawned (weft__all_ended()). */
	if (!(flags & TASK_FORK))
		counter_add_release(&w->counters.completed, 1);
	/* relaxed: the fences order. */
	store_relaxed(&t->ending, true);
	weft__fence_light();
	/* acquire, here and on failure: sees the waiter's fields, released by the joiner. */
	uintptr_t join = load_acquire(&t->join);
	while (join == JOIN_NOBODY) {
		/* release: publishes the result, to the joiner's acquire. */
		if (cas_weak_acq_rel_else_acquire(&t->join, &join, JOIN_DONE))
			return NULL; /* the task's memory is the joiner's now */
	}
	if (join == JOIN_DETACHED) {
		weft__task_pool_free(&w->tasks, t);
		return NULL;
	}
	bool wake = weft__wait_claim((struct waiter *)join, &wakeup);
	/* release: publishes the result and our last look at the waiter. */
	store_release(&t->join, JOIN_DONE);
	return wake ? weft__wait_wake_next(w, wakeup) : NULL;
}

/* Does what only few tasks need after their function. t runs it, and may hop. */
static WEFT__MAY_HOP __attribute__((noinline)) void finish_flagged(struct task *t)
{
	if (t->flags & TASK_ORPHAN)
		weft__orphan_check(); /* it has forked the process (process.c) */
	task_run_end(t);
}

/* Runs the worker's task to its end, on the current stack. Returns the worker on which it ended.
 * *ret_next is the task that this worker is to run next, or NULL. */
static WEFT__MAY_HOP WEFT__MUST_USE struct worker *run_task(struct worker *w,
							    struct task **ret_next)
{
	struct task *t = w->task;

	void *outer = san_task_begin();
	san_acquire(t);
	san_after_start_hook(w);
	WEFT__NO_EXCEPTION_LEAVES();
	void *result = t->fn(t->value);
	if (unlikely(t->flags != 0))
		finish_flagged(t);
	w = weft__worker(); /* anew: the task may have hopped */
	*ret_next = end_task(w, t, result);
	w->over = t;
	san_task_end(outer);
	return w;
}

void weft__task_main(void *value)
{
	struct worker *w = value;

	do {
		settle(w);
		struct reserve *reserve = task_reserve(w->task);
		bool common = !reserve;
		struct task *next;
		for (;;) {
			w = run_task(w, &next);
			if (!next)
				next = weft__pick_local(w, common ? STACK_OWN : STACK_GET);
			if (!next || !common || next->coro || task_reserve(next))
				break;
			if (unlikely(next->flags & TASK_FORK))
				check_fork(next, w->thread_state->current);
			w->task = next;
			counter_add(&w->counters.switches, 1);
			weft__coro_reset_environment(w->thread_state);
		}
		w->outgoing.fate = common ? FATE_KEEP : FATE_FREE;
		w->outgoing.coro = w->thread_state->current;
		w->outgoing.reserve = reserve;
		if (next && !next->coro) /* the stack of this coroutine is uncommon, and is freed */
			w = weft__coro_start(w->thread_state, take_idle(w, next), w,
					     weft__task_main);
		else
			w = weft__coro_jump(w->thread_state, next ? take_up(w, next) : step_down(w),
					    w);
	} while (!WEFT__CONTEXT_JUMPS); /* else the coroutine is started anew */
}

/* Runs t, which has not started, on a coroutine that w keeps. Returns once the caller runs again.
 * The result is the worker on which it then runs. */
static inline WEFT__MAY_HOP WEFT__MUST_USE struct worker *start(struct worker *w, struct task *t)
{
	w = weft__coro_start(w->thread_state, take_idle(w, t), w, weft__task_main);
	settle(w);
	return w;
}

/* Prepares w for the suspension of the task that runs on it. */
static inline void set_fate(struct worker *w, enum fate fate)
{
	struct task *t = w->task;

	san_before_stop_hook(w);
	t->coro = w->thread_state->current;
	t->home = w->id;
	w->outgoing.fate = fate;
	w->outgoing.task = t;
}

struct worker *weft__suspend_to_start(struct worker *w, enum fate fate, struct task *next)
{
	set_fate(w, fate);
	return start(w, next);
}

struct worker *weft__suspend(struct worker *w, enum fate fate, struct task *next)
{
	if (next && !next->coro)
		return weft__suspend_to_start(w, fate, next);
	set_fate(w, fate);
	struct coro *to = likely(next != NULL) ? take_up(w, next) : step_down(w);
	w = weft__coro_switch_on(w->thread_state, to, w);
	settle(w);
	return w;
}

void weft__execute(struct worker *w, struct task *t)
{
	w->task = t;
	announce_armed(w);
	if (!t->coro) {
		w = start(w, t);
		return;
	}
	w = weft__coro_switch_on(w->thread_state, take_up(w, t), w);
	settle(w);
}
