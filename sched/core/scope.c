/* SPDX-License-Identifier: MIT */
/* Scopes (scope.h): those of tasks, and at the end those of plain threads. */
#include "scope.h"

#include "cancel.h"
#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/compiler.h"
#include "src/base/fatal.h"
#include "src/base/orphan.h"
#include "src/base/pause.h"
#include "timer.h"
#include "tls.h"

#include <errno.h>

__attribute__((cold)) _Noreturn void weft__scope_misuse(const char *call, const void *scope,
							const char *what)
{
	char caller[WEFT__TASK_TEXT] = "a thread outside of tasks";
	const struct worker *w = weft__worker();

	if (w)
		weft__describe_task(w->task, caller);
	weft__fatal("%s: scope %p %s (%s)", call, scope, what, caller);
}

void weft__end_in_scope(struct task *t)
{
	char task[WEFT__TASK_TEXT];

	weft__describe_task(t, task);
	weft__fatal("weft_scope_begin: %s returns, but a scope that it began has not ended", task);
}

/* Initializes s. outer: the scope around it, of the same task or thread, or NULL. If an outer
 * deadline comes first, or at the same time, the inner one would never be the reason. So it is not
 * kept. */
static inline void scope_init(struct scope *s, const struct scope *outer, int64_t deadline)
{
	bool later = outer && outer->limit <= deadline;

	s->timer.timers = NULL;
	s->deadline = later ? WEFT_FOREVER : deadline;
	s->limit = later ? outer->limit : deadline;
	/* relaxed, all: others get the scope from its task, or through the family's lock. */
	store_relaxed(&s->firing, false);
	s->timed_out = false;
	store_relaxed(&s->number, 0);
}

/* The result of the scope: why its waits were cut short, or 0 if they were not. */
static inline int reason(const struct scope *s, bool cut)
{
	return !cut ? 0 : s->timed_out ? -ETIMEDOUT : -ECANCELED;
}

void weft_scope_begin(weft_scope *scope, int64_t deadline)
{
	struct worker *w = weft__worker();
	struct scope *s = (struct scope *)scope;

	if (unlikely(!s))
		weft__scope_misuse("weft_scope_begin", s, "is NULL");
	if (unlikely(!w)) {
		weft__thread_scope_begin(s, deadline);
		return;
	}
	struct task *parent = w->task, *t = &s->fork.task;
	scope_init(s, parent->flags & TASK_SCOPE ? scope_of_task(parent) : NULL, deadline);
	task_init(t, parent->rt, parent->fn, parent->value, JOIN_NOBODY,
		  TASK_FORK | TASK_SCOPE | (parent->flags & TASK_MEMBER));
	t->pin = parent->pin;
	t->mask = parent->mask;
	task_pass_extra(parent, t);
	store_relaxed(&t->identity, task_identity(parent));
	store_relaxed(&t->family, (uintptr_t)parent);
	if (s->deadline != WEFT_FOREVER)
		store_relaxed(&t->cancel, CANCEL_TIMED);
	parent->flags |= TASK_IN_SCOPE;
	w->task = t;
}

/* Takes the deadline back. After the return nobody looks at the scope because of it. */
static void forget_deadline(struct scope *s)
{
	weft__timer_disarm(&s->timer);
	/* acquire: the last look of the thread that had taken the timer out, released by
	 * weft__scope_time_out() (cancel.c). */
	for (unsigned looks = 0; load_acquire(&s->firing); looks++)
		weft__pause(looks);
}

/* Aborts because s cannot be ended now. innermost: the scope or task that the caller runs. */
static _Noreturn __attribute__((cold)) void misuse_at_end(struct task *innermost,
							  const struct scope *s)
{
	weft__orphan_check(); /* the scope was begun by a task of the parent process */
	for (struct task *t = innermost; t && t->flags & TASK_SCOPE; t = family_parent(t))
		if (scope_of_task(t) == s)
			weft__scope_misuse("weft_scope_end", s,
					   "has an inner scope that has not ended");
	weft__scope_misuse("weft_scope_end", s, "was not begun by the caller, or has ended");
}

int weft_scope_end(weft_scope *scope)
{
	struct worker *w = weft__worker();
	struct scope *s = (struct scope *)scope;

	if (unlikely(!w))
		return weft__thread_scope_end(s);
	if (unlikely(!s || w->task != &s->fork.task))
		misuse_at_end(w->task, s);
	struct task *t = &s->fork.task, *parent = family_parent(t);
	if (s->timer.timers)
		forget_deadline(s);
	bool cut = weft__family_cancelled(w, t, false);
	/* A look far up enters the family's list, which arms the deadline. */
	if (unlikely(s->timer.timers != NULL))
		forget_deadline(s);
	if (family_listed(t))
		weft__family_leave(t);

	task_pass_extra(t, parent);
	parent->flags &= (uint16_t)~TASK_IN_SCOPE;
	parent->mask = t->mask;
	if (t->home != TASK_NO_HOME)
		parent->home = t->home;
	w->task = parent;
	/* The next join checks whether its fork was made in this scope (fork.c). */
	w->inlining.span = 0;
	int rc = reason(s, cut);
	san_forget(s, sizeof *s);
	return rc;
}

uint64_t weft__family_number(struct task *t)
{
	if (!(t->flags & TASK_SCOPE))
		return task_identity(t);
	struct scope *s = scope_of_task(t);
	/* relaxed, both: a number publishes nothing. */
	uint64_t number = load_relaxed(&s->number);
	if (number == 0) {
		number = weft__new_identity();
		store_relaxed(&s->number, number);
	}
	return number;
}

bool weft__scope_is_late(struct task *t)
{
	int64_t now = weft__clock_now();
	uint32_t cancel = 0;

	for (struct task *a = t; a && !(cancel & CANCEL_REACHED); a = family_parent(a)) {
		/* relaxed: the thread that keeps it removes the mark under the lock, where we look
		 * again. */
		cancel = load_relaxed(&a->cancel);
		if (cancel & CANCEL_TIMED && scope_of_task(a)->deadline <= now)
			return true;
	}
	return false;
}

bool weft__scope_keep(struct worker *w, struct task *a)
{
	struct scope *s = scope_of_task(a);
	bool late = s->deadline <= weft__clock_now();

	if (late) {
		/* relaxed: under the lock. */
		s->timed_out = !(load_relaxed(&a->cancel) & CANCEL_REQUESTED) &&
			       !weft__family_requested_above(a);
		/* Nothing is listed below it, so there is no waiter to wake. release: timed_out,
		 * for the acquire in canceller_looks() (wait.h). */
		fetch_or_release(&a->cancel, CANCEL_REQUESTED);
	} else {
		weft__timer_arm(&w->scopes, &s->timer, s->deadline);
		w->duties.timer_armed = true;
	}
	/* relaxed: the unlock publishes it. */
	fetch_and_relaxed(&a->cancel, ~CANCEL_TIMED);
	return late;
}

/* Takes the next scope whose deadline has passed, and marks it firing. */
static struct scope *take_late(struct timers *scopes, int64_t now)
{
	weft__lock(&scopes->lock);
	struct timer *timer = weft__timers_pop_locked(scopes, now);
	struct scope *s = timer ? container_of(timer, struct scope, timer) : NULL;
	/* relaxed: the lock publishes it. */
	if (s)
		store_relaxed(&s->firing, true);
	weft__unlock(&scopes->lock);
	return s;
}

void weft__scopes_expire_of(struct worker *w, struct timers *scopes, int64_t now)
{
	/* acquire: pairs with publish_earliest() (timer.c). A hint: the lock decides. */
	while (load_acquire(&scopes->earliest) <= now) {
		struct scope *s = take_late(scopes, now);
		if (!s)
			break;
		weft__scope_time_out(s);
		counter_add(&w->counters.timers, 1);
	}
}

void weft__scopes_expire(struct worker *w)
{
	struct weft_runtime *rt = w->rt;
	/* acquire: pairs with the release that published the record. */
	unsigned count = load_acquire(&rt->record_count);
	int64_t now = weft__clock_now();

	for (unsigned i = 0; i < count; i++)
		weft__scopes_expire_of(w, &rt->records[i]->scopes, now);
}

/* Scopes of threads that are not workers. */

void weft__thread_scope_begin(struct scope *s, int64_t deadline)
{
	struct thread_scopes *scopes = weft__thread_scopes();
	struct scope *outer = scopes->innermost;
	struct task *t = &s->fork.task;

	/* Perhaps there is no runtime yet, and a later one must not change the fences of a wait. A
	 * canceller has got the scope from us, so it comes later. */
	weft__fence_init();
	scope_init(s, outer, deadline);
	/* The outermost scope is a root. */
	task_init(t, NULL, NULL, NULL, JOIN_NOBODY, TASK_SCOPE | (outer ? TASK_FORK : 0));
	/* relaxed: as in scope_init(). */
	if (outer)
		store_relaxed(&t->family, (uintptr_t)&outer->fork.task);
	scopes->innermost = s;
}

int weft__thread_scope_end(struct scope *s)
{
	struct thread_scopes *scopes = weft__thread_scopes();
	struct scope *innermost = scopes->innermost;

	if (!s || innermost != s)
		misuse_at_end(innermost ? &innermost->fork.task : NULL, s);
	struct task *t = &s->fork.task, *outer = family_parent(t);
	bool cut = weft__family_cancelled(NULL, t, false);
	if (family_listed(t))
		weft__family_leave(t);
	scopes->innermost = outer ? scope_of_task(outer) : NULL;
	int rc = reason(s, cut);
	san_forget(s, sizeof *s);
	return rc;
}

struct scope *weft__thread_scope_to_end(void)
{
	struct scope *first = NULL;

	for (struct scope *s = weft__thread_scopes()->innermost; s;) {
		struct task *outer = family_parent(&s->fork.task);
		if (s->deadline != WEFT_FOREVER && (!first || s->deadline <= first->deadline))
			first = s;
		s = outer ? scope_of_task(outer) : NULL;
	}
	return first;
}

bool weft__thread_cancelled(void)
{
	struct scope *innermost = weft__thread_scopes()->innermost;

	if (!innermost)
		return false;
	struct scope *first = weft__thread_scope_to_end();
	if (first && first->deadline <= weft__clock_now())
		weft__scope_time_out(first);
	return weft__family_cancelled(NULL, &innermost->fork.task, false);
}

void weft__thread_scope_check(void)
{
	struct thread_scopes *scopes = weft__thread_scopes();

	if (scopes->innermost)
		weft__scope_misuse("weft_scope_begin", scopes->innermost,
				   "has not ended, but the function that began it has returned");
	scopes->mask = 0;
}
