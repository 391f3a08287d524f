/* SPDX-License-Identifier: MIT */
/*
 * Cancelling. A request is a sticky bit in the task; a wait that is under way is claimed through
 * struct task.waiting.
 *
 * CANCEL_BUSY is the lock of that pointer, for cancellers only: the waiting task takes no lock and
 * does no atomic read-modify-write, it stores, and reads after a light fence (cancel_watch() and
 * cancel_unwatch() in wait.c). Cancelling is the rare side and pays for both.
 *
 * It is also what keeps the task there for its canceller. A task that learns of the request may
 * return, and its joiner or the end of the runtime then frees it. So nobody learns of the request
 * before the canceller is done: a wait ends with cancel_unwatch(), which waits until BUSY is gone,
 * and so does weft_cancelled(). The request and BUSY are set by one store to one word, so whoever
 * sees the one finds the other, until it is taken back. After that a canceller touches the task
 * only if it has claimed the wait, and then the task lives until it is woken.
 *
 * A request reaches the forks of the task: family.h.
 *
 * (Rejected: the task's end waits for BUSY. That is a look for every task, also for forks that run
 * as a call, instead of one for those that are cancelled.)
 */
#include "family.h"
#include "runtime.h"
#include "sched/os/membarrier.h"
#include "sched/os/pause.h"
#include "scope.h"
#include "src/fatal.h"
#include "wait.h"

#include <weft/task.h>

#include <errno.h>

/* Marks t. true: it was not, and the caller, who has BUSY now, is to fence and to call claim(). */
static bool request(struct task *t)
{
	/* relaxed: the compare-and-swap below orders. */
	uint32_t cancel = atomic_load_explicit(&t->cancel, memory_order_relaxed);

	do {
		for (unsigned looks = 0; cancel & CANCEL_BUSY; looks++) {
			weft__pause(looks);
			cancel = atomic_load_explicit(&t->cancel, memory_order_relaxed);
		}
		if (cancel & CANCEL_REQUESTED)
			return false;
		/* acquire: the last section of who had BUSY, a canceller or a fork that entered or
		 * left the family. */
	} while (!atomic_compare_exchange_weak_explicit(
		&t->cancel, &cancel, cancel | CANCEL_REQUESTED | CANCEL_BUSY, memory_order_acquire,
		memory_order_relaxed));
	return true;
}

/*
 * After request() and a heavy fence: claims the wait that is under way. Returns what is claimed.
 *
 * Store-load races with cancel_watch(), cancel_unwatch() and weft__wait_take(): both bits are set,
 * then `waiting` and the waiter's `given` are read.
 */
static struct waiter *claim(struct task *t, struct waiter *claimed)
{
	struct wakeup unused;

	chaos_at(weft__worker(), CHAOS_CANCEL);
	/* acquire: the waiter's fields, released by cancel_watch(). */
	struct waiter *waiter = atomic_load_explicit(&t->waiting, memory_order_acquire);
	if (waiter && weft__wait_claim_cancelled(waiter, &unused)) {
		waiter->next = claimed;
		claimed = waiter;
	}
	/* release: our last look at the waiter and the task, for canceller_looks(); the family's
	 * list, for weft__family_lock(). The task may end as soon as it is woken, or now, if it was
	 * not waiting. */
	atomic_fetch_and_explicit(&t->cancel, ~CANCEL_BUSY, memory_order_release);
	return claimed;
}

/* Whether f is below t, or is t. */
static bool is_below(struct task *f, const struct task *t)
{
	while (f && f != t)
		f = family_parent(f);
	return f;
}

/* Pins b, unless another canceller has, which will reach it. Under the family's lock. */
static void pin(struct branch *b, struct branch **pinned)
{
	/* relaxed, both: under the lock. A canceller that is about to unpin it has cancelled it for
	 * good. */
	if (atomic_load_explicit(&b->pinned, memory_order_relaxed))
		return;
	atomic_store_explicit(&b->pinned, 1, memory_order_relaxed);
	b->next = *pinned;
	*pinned = b;
}

/* request() for those below t, except t, in the list of root, whose lock the caller has. Pins their
 * branches. */
static void request_below(struct task *root, const struct task *t, struct branch **pinned)
{
	for (struct kin *kin = family_first(root); kin; kin = kin->next) {
		struct branch *b = kin->reach ? (struct branch *)kin : NULL;
		/* The owner changes under the family's lock as well. */
		struct task *f = b ? b->owner : &fork_of_kin(kin)->task;
		if (t != root && !is_below(f, t))
			continue;
		if (b)
			pin(b, pinned);
		else if (f != t)
			request(f);
	}
}

/* claim() for those except t: they are BUSY, which nobody makes them without the lock. */
static struct waiter *claim_below(struct task *root, const struct task *t, struct waiter *claimed)
{
	for (struct kin *kin = family_first(root); kin; kin = kin->next) {
		struct task *f = &fork_of_kin(kin)->task;
		/* relaxed: set by us, or not at all. */
		if (!kin->reach && f != t &&
		    atomic_load_explicit(&f->cancel, memory_order_relaxed) & CANCEL_BUSY)
			claimed = claim(f, claimed);
	}
	return claimed;
}

void weft__wake_cancelled(struct waiter *claimed)
{
	while (claimed) {
		struct waiter *waiter = claimed;
		claimed = waiter->next; /* it is gone once it is woken */
		weft__wait_wake(weft__wakeup_of(waiter));
	}
}

/* What a canceller has to do once it is done with the task. */
struct rest {
	struct waiter *claimed;
	struct branch *pinned;
};

/* late: t is a scope, whose deadline has passed. */
static struct rest cancel(struct task *t, bool late)
{
	struct rest rest = {0};
	struct task *root = weft__family_root(t);

	if (root != t)
		weft__family_lock(root);
	if (request(t)) {
		/* Published with the end of BUSY, which the scope's end waits for. */
		if (late)
			scope_of_task(t)->timed_out = !weft__family_requested_above(t);
		request_below(root, t, &rest.pinned);
		weft__fence_heavy();
		rest.claimed = claim(t, claim_below(root, t, NULL));
	}
	if (root != t)
		weft__family_unlock(root);
	return rest;
}

static void tell(struct rest rest)
{
	weft__wake_cancelled(rest.claimed);
	weft__reach_branches(rest.pinned);
}

int weft_cancel(weft_task *task)
{
	struct task *t = task_of_handle(task);

	if (!t)
		return -EINVAL;
	tell(cancel(t, false));
	return 0;
}

void weft_scope_cancel(weft_scope *scope)
{
	if (scope)
		tell(cancel(&((struct scope *)scope)->fork.task, false));
}

void weft__scope_time_out(struct scope *s)
{
	struct rest rest = cancel(&s->fork.task, true);

	/* release: our last look at the scope, for its end (scope.c). */
	atomic_store_explicit(&s->firing, false, memory_order_release);
	tell(rest);
}

struct waiter *weft__cancel_some(struct task *const *tasks, unsigned n, struct branch **pinned)
{
	struct task *requested[WEFT__CANCEL_SOME];
	struct waiter *claimed = NULL;
	unsigned count = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!request(tasks[i]))
			continue;
		request_below(tasks[i], tasks[i], pinned);
		requested[count++] = tasks[i];
	}
	if (count > 0)
		weft__fence_heavy();
	for (unsigned i = 0; i < count; i++) {
		claimed = claim_below(requested[i], requested[i], claimed);
		claimed = claim(requested[i], claimed);
	}
	return claimed;
}

bool weft_cancelled(void)
{
	struct worker *w = weft__worker();

	if (!w)
		return weft__thread_cancelled();
	/* If every worker computes, nobody else looks. */
	if (__builtin_expect(is_due(w->rt) || !timekeeper_is_there(&w->rt->timekeeper), 0))
		weft__scopes_expire(w);
	return weft__family_cancelled(w, w->task, true);
}

bool weft__caller_cancelled(void)
{
	const struct worker *w = weft__worker();

	return (w ? w->task && w->task->mask == 0 : thread_scope() != NULL) && weft_cancelled();
}

static _Noreturn __attribute__((cold)) void mask_misuse(struct task *t, const char *call,
							const char *what)
{
	char task[WEFT__TASK_TEXT];

	weft__describe_task(t, task);
	weft__fatal("%s: %s %s", call, task, what);
}

void weft_cancel_mask(void)
{
	struct worker *w = weft__worker();

	if (!w) {
		weft__thread_scopes()->mask++;
		return;
	}
	if (w->task->mask == UINT16_MAX)
		mask_misuse(w->task, "weft_cancel_mask", "nests regions too deep");
	w->task->mask++;
}

void weft_cancel_unmask(void)
{
	struct worker *w = weft__worker();

	if (!w) {
		weft__thread_scopes()->mask -= weft__thread_scopes()->mask > 0;
		return;
	}
	if (w->task->mask == 0)
		mask_misuse(w->task, "weft_cancel_unmask", "is in no masked region");
	w->task->mask--;
}
