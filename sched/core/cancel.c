/* SPDX-License-Identifier: MIT */
/*
 * Cancellation. A request is a sticky bit in the word `cancel` of the task. If the task waits, the
 * canceller finds the wait through struct task.waiting, and claims it.
 *
 * CANCEL_BUSY is a lock among cancellers. Its holder may look at `waiting`. The waiting task takes
 * no lock and does no atomic read-modify-write. It stores `waiting`, and reads `cancel` after a
 * light fence: see cancel_show() and cancel_hide() in wait.c. Cancelling is the rare side, so
 * the canceller pays for both, with a heavy fence.
 *
 * CANCEL_BUSY also keeps the task in existence for its canceller. A task that learns of the request
 * may return, and then its joiner or the end of the runtime frees it. So a task must not learn of
 * the request before the canceller is done with it. Two functions see to that. Each wait ends with
 * cancel_hide(), which waits until BUSY is gone. weft_cancelled() waits for the same. One store
 * to one word sets both the request and BUSY. So a task that sees the request also sees BUSY,
 * unless the canceller has cleared it since. After that the canceller touches the task only if it
 * has claimed the wait. The task then lives until it is woken.
 *
 * A request also reaches the forks of the task: see family.h.
 *
 * Rejected: the end of a task waits for BUSY. Every task would then have to look at BUSY, even a
 * fork that runs as a call.
 */
#include "cancel.h"

#include "chaos.h"
#include "due.h"
#include "family.h"
#include "identity.h"
#include "runtime.h"
#include "scope.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/fatal.h"
#include "src/base/fence.h"
#include "src/base/lockcheck.h"
#include "src/base/pause.h"
#include "timekeeper.h"
#include "tls.h"
#include "wait.h"

#include <weft/task.h>

#include <errno.h>

/* For the check of the order of locks. */
#define RANK_OF(t) (family_parent(t) ? WEFT__RANK_FORK : WEFT__RANK_FAMILY)

/* Marks t as cancelled and takes BUSY. Returns false if t was cancelled already. After true the
 * caller must fence, and then call claim(), which gives BUSY back. */
static bool request(struct task *t)
{
	/* relaxed: the compare-and-swap below orders. */
	uint32_t cancel = load_relaxed(&t->cancel);

	do {
		for (unsigned looks = 0; cancel & CANCEL_BUSY; looks++) {
			weft__pause(looks);
			cancel = load_relaxed(&t->cancel);
		}
		if (cancel & CANCEL_REQUESTED)
			return false;
		/* acquire: sees what the last holder of BUSY did. That was a canceller, or a fork
		 * that entered or left the family. */
	} while (!cas_weak_acquire(&t->cancel, &cancel, cancel | CANCEL_REQUESTED | CANCEL_BUSY));
	WEFT__TAKES(t, RANK_OF(t), (void)0);
	return true;
}

/*
 * Claims the wait of t that is under way, if there is one, and gives BUSY back. The caller has
 * called request() and fenced heavily. Returns the list `claimed`, with t's waiter in front if this
 * call has claimed it.
 *
 * Store-load race with cancel_show(), cancel_hide() and weft__wait_take(): request() sets both
 * bits, then we read `waiting` and the waiter's `wanted`.
 */
static struct waiter *claim(struct task *t, struct waiter *claimed)
{
	struct wakeup unused;

	chaos_at(weft__worker(), CHAOS_CANCEL);
	/* acquire: sees the waiter's fields, released by cancel_show(). */
	struct waiter *waiter = load_acquire(&t->waiting);
	if (waiter && weft__wait_claim_cancelled(waiter, &unused)) {
		waiter->next = claimed;
		claimed = waiter;
	}
	/* release: publishes our last look at the waiter and the task, to canceller_looks(). For a
	 * root it also publishes the family's list, to weft__family_lock(). The task may end as
	 * soon as it is woken. If it was not waiting, it may end now. */
	WEFT__GIVES(t, RANK_OF(t), fetch_and_release(&t->cancel, ~CANCEL_BUSY));
	return claimed;
}

/* Returns whether f is t, or a task below t. */
static bool is_below(struct task *f, const struct task *t)
{
	while (f && f != t)
		f = family_parent(f);
	return f;
}

/* Marks b as held by this canceller, and adds it to the list. If another canceller holds b already,
 * that one will reach it. The caller holds the family's lock. */
static void hold(struct branch *b, struct branch **held)
{
	/* acquire: sees that the canceller before us is done with b->next, released by
	 * weft__reach_branches(). It lets go of b without the lock. A canceller that is about to do so
	 * has cancelled b already, for good. */
	if (load_acquire(&b->held))
		return;
	/* relaxed: the lock orders it. */
	store_relaxed(&b->held, 1);
	b->next = *held;
	*held = b;
}

/* Calls request() for each listed task below t, but not for t itself. Holds the branches of t and
 * of these tasks. All of them are in the list of root, whose lock the caller holds. */
static void request_below(struct task *root, const struct task *t, struct branch **held)
{
	for (struct kin *kin = family_first(root); kin; kin = kin->next) {
		struct branch *b = kin->reach ? (struct branch *)kin : NULL;
		/* The owner changes only under the family's lock, which we hold. */
		struct task *f = b ? b->owner : &fork_of_kin(kin)->task;
		if (t != root && !is_below(f, t))
			continue;
		if (b)
			hold(b, held);
		else if (f != t)
			request(f);
	}
}

/* Calls claim() for each fork that request_below() has made BUSY. Nobody else makes a fork BUSY
 * without the family's lock, which the caller holds. */
static struct waiter *claim_below(struct task *root, const struct task *t, struct waiter *claimed)
{
	for (struct kin *kin = family_first(root); kin; kin = kin->next) {
		struct task *f = &fork_of_kin(kin)->task;
		/* relaxed: either we have set BUSY, or nobody has. */
		if (!kin->reach && f != t && load_relaxed(&f->cancel) & CANCEL_BUSY)
			claimed = claim(f, claimed);
	}
	return claimed;
}

void weft__wake_cancelled(struct waiter *claimed)
{
	while (claimed) {
		struct waiter *waiter = claimed;
		claimed = waiter->next; /* the waiter is gone once it is woken */
		weft__wait_wake(weft__wakeup_of(waiter));
	}
}

/* The work left to a canceller after it has given the locks back. */
struct rest {
	struct waiter *claimed;
	struct branch *held;
};

/* Cancels t and all tasks below it. Returns the waiters and branches that it has claimed and
 * holds. late: t is a scope whose deadline has passed. */
static struct rest cancel(struct task *t, bool late)
{
	struct rest rest = {0};
	struct task *root = weft__family_root(t);

	if (root != t)
		weft__family_lock(root);
	if (request(t)) {
		/* Clearing BUSY publishes this, and the end of the scope waits for that. */
		if (late)
			scope_of_task(t)->timed_out = !weft__family_requested_above(t);
		request_below(root, t, &rest.held);
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
	weft__reach_branches(rest.held);
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

	/* release: publishes our last look at the scope, to the end of the scope (scope.c). */
	store_release(&s->firing, false);
	tell(rest);
}

struct waiter *weft__cancel_some(struct task *const *tasks, unsigned n, struct branch **held)
{
	struct task *requested[WEFT__CANCEL_SOME];
	struct waiter *claimed = NULL;
	unsigned count = 0;

	/* All roots come before the first fork, as the order of locks demands. */
	for (unsigned i = 0; i < n; i++) {
		if (request(tasks[i]))
			requested[count++] = tasks[i];
	}
	for (unsigned i = 0; i < count; i++)
		request_below(requested[i], requested[i], held);
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
	/* If every worker computes, nobody else looks at the deadlines of scopes. */
	if (unlikely(is_due(w->rt) || !timekeeper_is_there(&w->rt->timekeeper)))
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
		mask_misuse(w->task, "weft_cancel_mask", "nests masked regions too deep");
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
