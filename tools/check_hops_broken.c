/* SPDX-License-Identifier: MIT */
/*
 * What check_hops.py has to find: a mistake in each function broken_*, and none in a function
 * sound_*. The file is never compiled into anything.
 */
#include "sched/core/runtime.h"
#include "src/base/compiler.h"
#include "src/coro.h"
#include "src/tls.h"

#include <errno.h>
#include <pthread.h>

static WEFT__MAY_HOP void hop(void (*fn)(void))
{
	fn();
}

static WEFT__MAY_HOP WEFT__MUST_USE struct worker *hop_from(struct worker *w, void (*fn)(void))
{
	(void)w;
	fn();
	return weft__worker();
}

/* A stale worker: from the getter, from a caller, and from an earlier hop. */
WEFT__MAY_HOP void broken_worker(void (*fn)(void))
{
	struct worker *w = weft__worker();

	hop(fn);
	w->task = NULL;
}

WEFT__MAY_HOP void broken_worker_of_caller(struct worker *w, void (*fn)(void))
{
	hop(fn);
	w->task = NULL;
}

WEFT__MAY_HOP void broken_worker_of_hop(struct worker *w, void (*fn)(void))
{
	w = hop_from(w, fn);
	hop(fn);
	w->task = NULL;
}

WEFT__MAY_HOP void broken_worker_by_pointer_call(struct worker *w, void (*fn)(void))
{
	fn();
	w->task = NULL;
}

/* It is handed on to another function, which would use it. */
WEFT__MAY_HOP void broken_worker_passed_on(struct worker *w, void (*fn)(void))
{
	w = hop_from(w, fn);
	hop(fn);
	w = hop_from(w, fn);
}

WEFT__MAY_HOP WEFT__MUST_USE struct worker *broken_worker_returned(struct worker *w,
								   void (*fn)(void))
{
	hop(fn);
	return w;
}

/* It is stale on one path only, and on one round of a loop only. */
WEFT__MAY_HOP void broken_worker_on_a_path(struct worker *w, void (*fn)(void), bool often)
{
	if (often)
		hop(fn);
	w->task = NULL;
}

WEFT__MAY_HOP void broken_worker_in_a_loop(struct worker *w, void (*fn)(void))
{
	for (int i = 0; i < 2; i++) {
		w->task = NULL;
		hop(fn);
	}
}

/* It is kept in other ways than by its name. */
WEFT__MAY_HOP void broken_worker_copied(struct worker *w, void (*fn)(void))
{
	struct worker *copy = w;

	hop(fn);
	copy->task = NULL;
}

WEFT__MAY_HOP void broken_worker_in_a_struct(struct worker *w, void (*fn)(void))
{
	struct {
		int n;
		struct worker *w;
	} s = {1, w};

	hop(fn);
	s.w->task = NULL;
}

WEFT__MAY_HOP void broken_worker_as_void(struct worker *w, void (*fn)(void))
{
	void *kept = w;

	hop(fn);
	*(int *)kept = 0;
}

WEFT__MAY_HOP void broken_part_of_worker(struct worker *w, void (*fn)(void))
{
	struct task **task = &w->task;

	hop(fn);
	*task = NULL;
}

WEFT__MAY_HOP void broken_part_of_callers_worker(struct worker_pick *pick, void (*fn)(void))
{
	hop(fn);
	pick->overflowed = false;
}

/* A stale thread. */
WEFT__MAY_HOP void broken_thread(struct coro *to)
{
	struct weft__thread *th = weft__thread();

	weft__coro_switch(to, NULL);
	th->current = to;
}

WEFT__MAY_HOP void broken_thread_of_worker(struct worker *w, struct coro *to)
{
	struct weft__thread *th = w->thread_state;

	weft__coro_switch_on(th, to, NULL);
	th->current = to;
}

WEFT__MAY_HOP void broken_exceptions(struct worker *w, void (*fn)(void))
{
	struct eh_globals *eh = w->eh_globals;

	hop(fn);
	eh->uncaught = 0;
}

/* A stale address of errno. */
WEFT__MAY_HOP int broken_errno(void (*fn)(void))
{
	errno = 0;
	hop(fn);
	return errno;
}

WEFT__MAY_HOP void broken_errno_address(struct worker *w, void (*fn)(void))
{
	int *location = w->errno_location;

	hop(fn);
	*location = 0;
}

WEFT__MAY_HOP bool broken_pthread_self(pthread_t other, void (*fn)(void))
{
	hop(fn);
	return pthread_equal(pthread_self(), other);
}

/* Marks. */
void broken_no_mark(void (*fn)(void))
{
	hop(fn);
}

void broken_no_mark_for_pointer(void (*fn)(void))
{
	fn();
}

WEFT__MAY_HOP int broken_needless_mark(int n)
{
	return n + 1;
}

WEFT__STAYS int broken_needless_stay(int n)
{
	return n + 1;
}

WEFT__MAY_HOP struct worker *broken_result_optional(struct worker *w, void (*fn)(void))
{
	return hop_from(w, fn);
}

/* What must be accepted. */
WEFT__MAY_HOP void sound_worker_of_hop(struct worker *w, void (*fn)(void))
{
	w->task = NULL;
	w = hop_from(w, fn);
	w->task = NULL;
}

WEFT__MAY_HOP void sound_worker_anew(struct worker *w, void (*fn)(void))
{
	for (int i = 0; i < 2; i++) {
		w->task = NULL;
		hop(fn);
		w = weft__worker();
	}
	w->task = NULL;
}

WEFT__MAY_HOP struct task *sound_value_from_before(struct worker *w, void (*fn)(void))
{
	struct weft_runtime *rt = w->rt;
	struct task *t = w->task;

	hop(fn);
	rt->first = t;
	return t;
}

WEFT__MAY_HOP bool sound_comparison(struct worker *w, void (*fn)(void))
{
	hop(fn);
	return w && w == weft__worker();
}

WEFT__MAY_HOP void sound_other_path(struct worker *w, void (*fn)(void))
{
	if (!w) {
		hop(fn);
		return;
	}
	w->task = NULL;
}

WEFT__MAY_HOP void sound_worker_if_any(void (*fn)(void), bool often)
{
	struct worker *w = NULL;

	if (often)
		hop(fn);
	else
		w = weft__worker();
	if (w)
		w->task = NULL;
}

/* The caller knows more than the tool. */
WEFT__STAYS void sound_pointer_that_stays(struct worker *w, void (*fn)(void))
{
	fn();
	w->task = NULL;
}

WEFT__MAY_HOP void sound_unhopped(struct worker *w, bool (*fn)(void))
{
	if (fn())
		w = weft__worker();
	else
		w = unhopped(w);
	w->task = NULL;
}
