/* SPDX-License-Identifier: MIT */
/*
 * Fork and join. A fork is pushed to the deque's bottom. If it is still there when its parent joins
 * it, it is run as a call on the parent's stack: no stack, no switch. Otherwise it was stolen, or
 * is not the youngest, and the parent waits for it like for any task. (Rejected: running some other
 * task on top of the waiting parent's stack, as stackless libraries must: it would bury the
 * parent's wait under an unrelated task's.)
 *
 * An inlined fork is a task: weft_self(), cancellation and pin are its own, and it may suspend or
 * hop. It is then what the queues hold, and the stack with its parent's frames below moves as a
 * whole. So everybody with a frame on it has hopped; a frame learns of it from .home of the fork
 * that it runs, which nobody sets but the fork's own suspension and the end of one that it ran
 * inline itself. Where that is still TASK_NO_HOME the worker is the same, and need not be asked for
 * anew. (A generator does not get past run_inline(): what runs inline cannot yield for it.)
 *
 * While something is due (due.c), weft_fork() sees to it that the next join does not take the fast
 * way, and gives way before it runs the fork. The fast way pays nothing for that.
 *
 * The fast way is about 120 instructions, and its time goes mostly to the reading of mxcsr; see
 * docs/performance.md. weft_fork() and weft_fork_join() themselves are in tls.c, which gives them
 * the worker without a call.
 *
 * It needs room on the stack: at least three quarters of a common stack must be left, else it runs
 * on a stack of its own. So a recursion a million deep works, one stack for every quarter; and what
 * a fork may use does not depend on its parent's frames. (Rejected: half, which many a function that
 * fits a stack of its own does not fit; all, which leaves nothing to inline without stacks of twice
 * the addresses, hence page tables.)
 */
#include "family.h"
#include "patience.h"
#include "runtime.h"
#include "src/fatal.h"
#include "src/orphan.h"
#include "unwind.h"
#include "wait.h"

#include <weft/fork.h>

/* Hides the caller's exceptions, if there are any, from what it calls. Returns them. */
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

/* Outside of a runtime: at once, with the environment that a new task has. */
static __attribute__((noinline)) void run_serially(struct task *t, weft_fn *fn, void *arg)
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

	th = weft__thread(); /* anew: the caller may be a generator that another thread went on with */
	*th->errno_location = saved_errno;
	restore_exceptions(th->eh_globals, &outer);
	fpwords_restore(&fpwords);
}

/* plain: w is, see weft__worker_set(). */
static inline __attribute__((always_inline)) void
fork_on(struct worker *w, bool plain, weft_forked *storage, weft_fn *fn, void *arg)
{
	struct task *t = task_of_fork(storage);

	if (__builtin_expect(!t || !fn, 0))
		weft__fatal("weft_fork: the %s is NULL", t ? "function" : "storage");
	if (__builtin_expect(!plain && !w, 0)) {
		run_serially(t, fn, arg);
		return;
	}
	task_init_fork(t, w->rt, fn, arg, w->task);
	san_release(t);
	counter_add(&w->counters.forked, 1);
	weft__start_later_unpinned(w, t, plain);
}

/* These and the joins begin a cache line, for the processor's front end: 3 %. */
__attribute__((aligned(64))) void weft__fork_plainly(weft_forked *storage, weft_fn *fn, void *arg,
						     struct worker *w)
{
	fork_on(w, true, storage, fn, arg);
}

__attribute__((aligned(64))) void weft__fork(weft_forked *storage, weft_fn *fn, void *arg,
					     struct worker *w)
{
	fork_on(w, false, storage, fn, arg);
}

static inline __attribute__((always_inline)) bool has_room(const struct worker *w)
{
	return (size_t)((char *)__builtin_frame_address(0) - w->inline_floor) < w->inline_span;
}

/* What few forks that ran inline need. Returns the worker on which they ended; the result is
 * t->value afterwards. */
static __attribute__((noinline)) struct worker *after_inline(struct task *t, struct task *parent,
							     void *result)
{
	if (t->flags & TASK_ORPHAN)
		weft__orphan_check(); /* it has forked the process (process.c) */
	t->value = result;
	task_run_end(t);
	if (family_listed(t))
		weft__family_leave(t);
	/* It was suspended, or one that ran inline in it was, so it may have hopped; and so was its
	 * parent, whose frames are below. */
	if (t->home != TASK_NO_HOME)
		parent->home = t->home;
	return weft__worker();
}

/*
 * Runs t, which is in no queue, as a call. It starts with the environment of a new task; the
 * caller's, whose control words are fpwords, is restored. What belongs to a task, and so must not
 * be the caller's here:
 *
 *   weft_self(), name, cancellation and its mask, task-local values   are t's: w->task is t
 *   errno, control words                                              are saved and reset here
 *   C++ exceptions: by run_inline_slowly(), as a caller hardly ever has one in flight
 *
 * Only the pin is the caller's on purpose: they share a stack.
 *
 * plain: w is, see weft__worker_set(). Nothing is looked at twice: what few forks leave to be done
 * after them is told by the one word that task_is_plain_fork() reads.
 */
static inline __attribute__((always_inline)) void *
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
	if (__builtin_expect(--w->inline_patience < 0, 0))
		weft__note_inline_joins(w);

	void *outer = san_task_begin();
	san_acquire(t);
	WEFT__NO_EXCEPTION_LEAVES();
	void *result = t->fn(t->value);
	if (__builtin_expect(!task_is_plain_fork(t), 0)) {
		w = after_inline(t, parent, result);
		result = t->value;
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

/* The same for a caller that may have exceptions in flight, which t must not see. */
static __attribute__((noinline)) void *run_inline_slowly(struct worker *w, struct task *t,
							 const struct fpwords *fpwords)
{
	struct eh_globals outer = hide_exceptions(w->eh_globals);
	void *result = run_inline(w, false, t, fpwords);

	restore_exceptions(weft__worker()->eh_globals, &outer); /* anew: it may have hopped */
	return result;
}

/* What must be left of a stack for a fork to run inline there: as fork.h promises. */
static inline size_t inline_room(const struct worker *w)
{
	return w->rt->config.stack_size / 4 * 3;
}

/* Forks may run inline on this stack while so much of a task's stack is left; but not on a
 * generator's: that takes the longer way. */
static void allow_inlining_here(struct worker *w)
{
	const struct coro *co = weft__thread()->current;
	size_t reserve = inline_room(w);
	size_t size = (size_t)(co->stack.top - co->stack.low);

	if (co->caller || size < reserve)
		return;
	w->inline_floor = co->stack.low + reserve;
	w->inline_span = size - reserve;
}

static bool room_in_generator(struct worker *w)
{
	const struct coro *co = weft__thread()->current;
	size_t left = (size_t)((char *)__builtin_frame_address(0) - co->stack.low);

	return co->caller && left >= inline_room(w);
}

static void await_end(struct task *t)
{
	struct waiter waiter;
	uintptr_t join = JOIN_NOBODY;

	weft__wait_begin(&waiter, true);
	/* release: the waiter's fields, for end_task(). acquire, on failure: the result. */
	if (atomic_compare_exchange_strong_explicit(&t->join, &join, (uintptr_t)&waiter,
						    memory_order_release, memory_order_acquire))
		weft__wait(&waiter, WEFT_FOREVER, false);
	else
		weft__wait_abandon(&waiter);
}

/* The parent of a fork is the joiner, or what a scope in which it was made is around. If that scope
 * has ended there is no parent any more. The fast way does not look; the end of a scope keeps the next join off it. */
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
static __attribute__((noinline)) void *join_slowly(struct worker *w, struct task *t, bool taken,
						   const struct fpwords *fpwords)
{
	/* Of a fork .rt stays as it is until it is joined. */
	if (w && !taken && t->rt != w->rt)
		weft__fatal("weft_fork_join: %p is no fork, or is joined already", (void *)t);
	if (w)
		check_scope(w, t);
	if (taken) {
		w = is_due(w->rt) ? weft__let_due_run(w) : fast_path(w);
		allow_inlining_here(w);
		if (has_room(w))
			return run_inline_slowly(w, t, fpwords);
		if (room_in_generator(w)) {
			/* A task's start is a boundary: what is inlined must not see the
			 * generator. */
			struct coro *caller = weft__coro_boundary_begin();
			void *result = run_inline_slowly(w, t, fpwords);
			weft__coro_boundary_end(caller);
			/* Back in the generator: the next one takes this way again. */
			weft__worker()->inline_span = 0;
			return result;
		}
		/* On a stack of its own: the wait below switches to it directly. */
		weft__start_later(w, t);
	}
	/* acquire: the result, released by end_task(). */
	if (atomic_load_explicit(&t->join, memory_order_acquire) != JOIN_DONE)
		await_end(t);
	san_acquire(t);
	return t->value;
}

/* plain: w is, see weft__worker_set(). */
static inline __attribute__((always_inline)) void *join_on(struct worker *w, bool plain,
							   weft_forked *storage)
{
	struct task *t = task_of_fork(storage);
	struct fpwords fpwords;

	/* First of all, though it is not always needed: to read mxcsr stops the processor until all
	 * before is done, which takes longer where the loads and stores of below are before. */
	fpwords_save(&fpwords);
	if (__builtin_expect(!t, 0))
		weft__fatal("weft_fork_join: the storage is NULL");
	bool taken = (plain || w) && weft__deque_pop_if_by(&w->deque, t, plain);
	bool here = taken && has_room(w) && (plain || !eh_in_flight(w->eh_globals));
	void *result = __builtin_expect(here, 1) ? run_inline(w, plain, t, &fpwords)
						 : join_slowly(w, t, taken, &fpwords);
	t->rt = NULL; /* for join_slowly(), should it be joined again */
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
