/* SPDX-License-Identifier: MIT */
/*
 * Fork and join. A fork is pushed to the bottom of the deque. If it is still there when its parent
 * joins it, it runs as a call on the parent's stack: it needs no stack of its own, and no switch.
 * Otherwise it was stolen, or it is not the youngest. The parent then waits for it as for any task.
 *
 * Rejected: run another task on top of the waiting parent's stack, as stackless libraries must.
 * This would bury the parent's wait under an unrelated task's.
 *
 * Inlined forks. A fork that runs as a call is a task. weft_self() and cancellation are its own,
 * and it may suspend or hop. Then the queues hold the fork, and the whole stack moves with it, with
 * its parent's frames below. So every function with a frame on that stack has hopped. Such a
 * function learns of it from .home of the fork that it runs. Only the fork's own steps set .home:
 * it suspends, it enters its family's list, or it ends a scope or an inline fork that has a .home
 * itself. While .home is still TASK_NO_HOME the worker is the same, and the function need not ask
 * for it anew. A generator does not get past run_inline(): a fork that runs inline cannot yield for
 * it.
 *
 * Due tasks. While something is due (due.c), weft_fork() makes the next join take the slow way.
 * That join gives way before it runs the fork. The fast way pays nothing for this.
 *
 * Speed. The fast way is about 120 instructions. It spends most of its time reading mxcsr: see
 * docs/performance.md. weft_fork() and weft_fork_join() themselves are in tls.c, which gives them
 * the worker without a call.
 *
 * Room. The fast way needs room on the stack: three quarters of a common stack must be left.
 * Otherwise the fork runs on a stack of its own. So a recursion of depth one million works, with
 * one stack for every quarter. And the stack that a fork may use does not depend on its parent's
 * frames.
 *
 * Rejected: half of a stack must be left. Many functions that fit a stack of their own do not fit
 * half of one.
 *
 * Rejected: all of a stack must be left. Then nothing runs inline, unless stacks have twice the
 * addresses, and so more page tables.
 */
#include "fork.h"

#include "due.h"
#include "family.h"
#include "patience.h"
#include "ready.h"
#include "runtime.h"
#include "scope.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/fatal.h"
#include "src/base/orphan.h"
#include "src/task_fiber.h"
#include "tls.h"
#include "unwind.h"
#include "wait.h"

#include <weft/fork.h>

/* Hides the caller's exceptions from the function that it is about to call. Returns them. */
static inline struct eh_globals hide_exceptions(struct eh_globals *eh)
{
	struct eh_globals outer = {0};

	if (eh && eh_in_flight(eh)) {
		outer = *eh;
		*eh = (struct eh_globals){0};
	}
	return outer;
}

static inline void restore_exceptions(struct eh_globals *eh, const struct eh_globals *outer)
{
	if (eh && eh_in_flight(outer))
		*eh = *outer;
}

/* Outside of a runtime a fork runs at once, with the environment of a new task. */
static WEFT__MAY_HOP __attribute__((noinline)) void run_serially(struct task *t, weft_fn *fn,
								 void *arg)
{
	struct fpwords fpwords;

	weft__coro_thread_init();
	struct weft__thread *th = weft__thread();
	int saved_errno = *th->errno_location;
	struct eh_globals outer = hide_exceptions(th->eh_globals);
	fpwords_save(&fpwords);
	fpwords_load_default(&fpwords);
	*th->errno_location = 0;
	task_init(t, NULL, fn, arg, JOIN_DONE, TASK_FORK);

	t->value = fn(arg);

	th = weft__thread(); /* anew: another thread may have resumed the caller, a generator */
	*th->errno_location = saved_errno;
	restore_exceptions(th->eh_globals, &outer);
	fpwords_restore(&fpwords);
}

/* Returns the task in the storage of a new fork. */
static inline __attribute__((always_inline)) struct task *new_fork(weft_forked *storage,
								   weft_fn *fn)
{
	struct task *t = task_of_fork(storage);

	if (unlikely(!t || !fn))
		weft__fatal("weft_fork: the %s is NULL", t ? "function" : "storage");
	return t;
}

/* plain: w is plain, see weft__worker_set(). */
static inline __attribute__((always_inline)) void fork_on(struct worker *w, bool plain,
							  struct task *t, weft_fn *fn, void *arg)
{
	task_init_fork(t, w->rt, fn, arg, w->task);
	san_release(t);
	counter_add(&w->counters.forked, 1);
	weft__start_later_unpinned(w, t, plain);
}

/* These and the joins begin a cache line, for the front end of the processor. That gains 3 %. */
__attribute__((aligned(64))) void weft__fork_plainly(weft_forked *storage, weft_fn *fn, void *arg,
						     struct worker *w)
{
	fork_on(w, true, new_fork(storage, fn), fn, arg);
}

__attribute__((aligned(64))) void weft__fork(weft_forked *storage, weft_fn *fn, void *arg,
					     struct worker *w)
{
	struct task *t = new_fork(storage, fn);

	if (likely(w != NULL))
		fork_on(w, false, t, fn, arg);
	else
		run_serially(t, fn, arg);
}

static inline __attribute__((always_inline)) bool has_room(const struct worker *w)
{
	return (size_t)((char *)__builtin_frame_address(0) - w->inlining.floor) < w->inlining.span;
}

/* Does what only few inlined forks need. Returns the worker on which the fork ended. The result is
 * in t->value afterwards. */
static WEFT__MAY_HOP WEFT__MUST_USE __attribute__((noinline)) struct worker *
after_inline(struct task *t, struct task *parent, void *result)
{
	if (t->flags & TASK_ORPHAN)
		weft__orphan_check(); /* it has forked the process (process.c) */
	t->value = result;
	task_run_end(t);
	if (family_listed(t))
		weft__family_leave(t);
	/* t was suspended, or a fork that ran inline in t was. So t may have hopped, and with it
	 * its parent, whose frames are below. */
	if (t->home != TASK_NO_HOME)
		parent->home = t->home;
	return weft__worker();
}

/*
 * Runs t, which is in no queue, as a call. t starts with the environment of a new task. Afterwards
 * the caller's environment is restored, whose control words are fpwords. Some state belongs to a
 * task, and so t must not see the caller's:
 *
 *   weft_self(), name, cancellation and its mask, task-local values  t has its own: w->task is t
 *   errno, control words                                             saved and reset here
 *   C++ exceptions                                                   run_inline_slowly() hides them
 *
 * Few callers have an exception in flight, so the fast way does not handle them.
 *
 * The pin is the caller's on purpose: the two share a stack.
 *
 * plain: w is plain, see weft__worker_set(). Nothing is looked at twice. One word tells whether the
 * fork needs after_inline(), and task_is_plain_fork() reads it.
 */
static inline WEFT__MAY_HOP __attribute__((always_inline)) void *
run_inline(struct worker *w, bool plain, struct task *t, const struct fpwords *fpwords)
{
	struct task *parent = w->task;
	struct fpwords scratch;
	int saved_errno = *w->errno_location;

	if (plain)
		fpwords_load_default_plainly(fpwords);
	else
		fpwords_load_default(fpwords);
	*w->errno_location = 0;
	t->pin = parent->pin;
	w->task = t;
	counter_add(&w->counters.inlined, 1);
	if (unlikely(--w->inlining.patience < 0))
		weft__note_inline_joins(w);

	void *outer = san_task_begin();
	san_acquire(t);
	WEFT__NO_EXCEPTION_LEAVES();
	void *result = t->fn(t->value);
	if (unlikely(!task_is_plain_fork(t))) {
		w = after_inline(t, parent, result);
		result = t->value;
	} else {
		w = unhopped(w); /* .home is still TASK_NO_HOME */
	}
	san_release(t);
	san_task_end(outer);
	san_acquire(t);

	w->task = parent;
	*w->errno_location = saved_errno;
	if (plain)
		fpwords_restore_plainly(fpwords, &scratch);
	else
		fpwords_restore(fpwords);
	return result;
}

/* As run_inline(), for a caller that may have exceptions in flight, which t must not see. */
static WEFT__MAY_HOP __attribute__((noinline)) void *
run_inline_slowly(struct worker *w, struct task *t, const struct fpwords *fpwords)
{
	struct eh_globals outer = hide_exceptions(w->eh_globals);
	void *result = run_inline(w, false, t, fpwords);

	restore_exceptions(weft__worker()->eh_globals, &outer); /* anew: it may have hopped */
	return result;
}

/* Returns how many bytes must be left of a stack for a fork to run inline there. fork.h promises
 * this. */
static inline size_t inline_room(const struct worker *w)
{
	return w->rt->config.stack_size / 4 * 3;
}

/* Lets forks run inline on this stack while inline_room() is left. A generator's stack is excluded:
 * it takes the longer way. */
static void allow_inlining_here(struct worker *w)
{
	const struct coro *co = weft__thread()->current;
	size_t reserve = inline_room(w);
	size_t size = (size_t)(co->stack.top - co->stack.low);

	if (co->caller || size < reserve)
		return;
	w->inlining.floor = co->stack.low + reserve;
	w->inlining.span = size - reserve;
}

static bool room_in_generator(struct worker *w)
{
	const struct coro *co = weft__thread()->current;
	size_t left = (size_t)((char *)__builtin_frame_address(0) - co->stack.low);

	return co->caller && left >= inline_room(w);
}

static WEFT__MAY_HOP void await_end(struct task *t)
{
	struct waiter waiter;
	uintptr_t join = JOIN_NOBODY;

	weft__wait_begin(&waiter, true);
	/* release: publishes the waiter's fields, to end_task(). acquire, on failure: sees the
	 * result. */
	if (cas_release_else_acquire(&t->join, &join, (uintptr_t)&waiter))
		weft__wait(&waiter, WEFT_FOREVER, false);
	else
		weft__wait_abandon(&waiter);
}

/* Aborts unless the joiner may join t. t's parent must be what runs on w (the joiner, or its
 * innermost scope), or lie above that with only scopes between. If not, another task has made t, or
 * the scope in which t was made has ended. The fast way does not look. The end of a scope keeps the
 * next join off the fast way. */
static void check_scope(struct worker *w, struct task *t)
{
	const struct task *parent = family_parent(t);

	for (struct task *a = w->task; a != parent; a = family_parent(a))
		if (!(a->flags & TASK_SCOPE))
			weft__fatal("weft_fork_join: %p was made by another task, or in a scope "
				    "that has ended",
				    (void *)t);
}

/* Joins a fork that cannot simply be run inline. */
static WEFT__MAY_HOP __attribute__((noinline)) void *
join_slowly(struct worker *w, struct task *t, bool taken, const struct fpwords *fpwords)
{
	/* The .rt of a fork does not change until the fork is joined. */
	if (w && !taken && t->rt != w->rt)
		weft__fatal("weft_fork_join: %p is not a fork, or was joined already", (void *)t);
	if (w)
		check_scope(w, t);
	if (taken) {
		w = is_due(w->rt) ? weft__let_due_run(w) : fast_path(w);
		allow_inlining_here(w);
		if (has_room(w))
			return run_inline_slowly(w, t, fpwords);
		if (room_in_generator(w)) {
			/* The start of a task is a boundary: the inlined fork must not see the
			 * generator. */
			struct coro *caller = weft__coro_boundary_begin();
			void *result = run_inline_slowly(w, t, fpwords);
			weft__coro_boundary_end(caller);
			/* Back in the generator: the next fork takes this way again. */
			weft__worker()->inlining.span = 0;
			return result;
		}
		/* The fork gets a stack of its own. The wait below switches to it directly. */
		weft__start_later(w, t);
	}
	/* acquire: sees the result, released by end_task(). */
	if (load_acquire(&t->join) != JOIN_DONE)
		await_end(t);
	san_acquire(t);
	return t->value;
}

/* plain: w is plain, see weft__worker_set(). */
static inline WEFT__MAY_HOP __attribute__((always_inline)) void *
join_on(struct worker *w, bool plain, weft_forked *storage)
{
	struct task *t = task_of_fork(storage);
	struct fpwords fpwords;

	/* This comes first, though it is not always needed. Reading mxcsr stops the processor until
	 * all earlier instructions are done. It would take longer after the loads and stores
	 * below. */
	fpwords_save(&fpwords);
	if (unlikely(!t))
		weft__fatal("weft_fork_join: the storage is NULL");
	bool taken = (plain || w) && weft__deque_pop_if_by(&w->deque, t, plain);
	bool here = taken && has_room(w) && (plain || !eh_in_flight(w->eh_globals));
	void *result = likely(here) ? run_inline(w, plain, t, &fpwords)
				    : join_slowly(w, t, taken, &fpwords);
	t->rt = NULL; /* so join_slowly() notices a second join */
	san_forget(t, sizeof *t);
	return result;
}

__attribute__((aligned(64))) void *weft__fork_join_plainly(weft_forked *storage, struct worker *w)
{
	return join_on(w, true, storage);
}

__attribute__((aligned(64))) void *weft__fork_join(weft_forked *storage, struct worker *w)
{
	return join_on(w, false, storage);
}
