/* SPDX-License-Identifier: MIT */
#include "family.h"

#include "runtime.h"
#include "sched/os/pause.h"
#include "scope.h"
#include "wait.h"

/* So many forks above it are looked at by weft_cancelled(). One that has more enters the list, and
 * is told. */
#define LOOK_UP 32

static inline uint32_t cancel_of(struct task *t)
{
	/* relaxed: a request publishes nothing, and where more is needed there is the lock. */
	return atomic_load_explicit(&t->cancel, memory_order_relaxed);
}

struct task *weft__family_root(struct task *t)
{
	struct task *parent;

	while ((parent = family_parent(t)))
		t = parent;
	return t;
}

static bool try_lock(struct task *root)
{
	uint32_t cancel = cancel_of(root);

	/* acquire: as in weft__family_lock(). */
	return !(cancel & CANCEL_BUSY) &&
	       atomic_compare_exchange_strong_explicit(&root->cancel, &cancel, cancel | CANCEL_BUSY,
						       memory_order_acquire, memory_order_relaxed);
}

void weft__family_lock(struct task *root)
{
	uint32_t cancel = cancel_of(root);

	for (unsigned looks = 0;; looks++) {
		/* acquire: the last one's section, released by weft__family_unlock() or claim(). */
		if (!(cancel & CANCEL_BUSY) && atomic_compare_exchange_weak_explicit(
						       &root->cancel, &cancel, cancel | CANCEL_BUSY,
						       memory_order_acquire, memory_order_relaxed))
			return;
		if (cancel & CANCEL_BUSY) {
			weft__pause(looks);
			cancel = cancel_of(root);
		}
	}
}

void weft__family_unlock(struct task *root)
{
	/* release: our section, for the next one's acquire: weft__family_lock(), request(); and our
	 * last look at the root, for canceller_looks(). */
	atomic_fetch_and_explicit(&root->cancel, ~CANCEL_BUSY, memory_order_release);
}

static void set_first(struct task *root, struct kin *kin)
{
	/* relaxed: under the lock. */
	atomic_store_explicit(&root->family, (uintptr_t)kin | FAMILY_ROOT, memory_order_relaxed);
}

static void add_locked(struct task *root, struct kin *kin)
{
	kin->prev = NULL;
	kin->next = family_first(root);
	if (kin->next)
		kin->next->prev = kin;
	set_first(root, kin);
}

static void remove_locked(struct task *root, struct kin *kin)
{
	if (kin->prev)
		kin->prev->next = kin->next;
	else
		set_first(root, kin->next);
	if (kin->next)
		kin->next->prev = kin->prev;
}

void weft__family_enter(struct worker *w, struct task *t)
{
	struct fork *f = (struct fork *)t;
	struct task *root = weft__family_root(t);
	uint32_t reached = CANCEL_REACHED;

	/* By this its end, if it runs as a call, finds that it has to leave. */
	if (w && t->home == TASK_NO_HOME)
		t->home = w->id;
	weft__family_lock(root);
	for (struct task *a = t; a; a = family_parent(a)) {
		uint32_t cancel = cancel_of(a);
		reached |= cancel & CANCEL_REQUESTED;
		if (__builtin_expect(cancel & CANCEL_TIMED, 0) && weft__scope_keep(w, a))
			reached |= CANCEL_REQUESTED;
		if (cancel & CANCEL_REACHED)
			break;
	}
	f->kin.reach = NULL;
	add_locked(root, &f->kin);
	/* relaxed: the unlock publishes it. */
	atomic_fetch_or_explicit(&t->cancel, reached, memory_order_relaxed);
	weft__family_unlock(root);
}

/* The same by a task that runs on: nobody else tells of the deadlines that it may have armed. */
static void enter_running(struct worker *w, struct task *t)
{
	weft__family_enter(w, t);
	if (w && w->timer_armed)
		weft__announce_timer(w);
}

void weft__family_branches(struct worker *w, struct task *t)
{
	t->flags |= TASK_BRANCHES;
	if (!(cancel_of(t) & CANCEL_REACHED))
		enter_running(w, t);
}

/* Takes b out of the list, whose lock the caller has, as well as b's. */
static void cut_locked(struct task *root, struct branch *b)
{
	remove_locked(root, &b->kin);
	b->owner = NULL;
}

static void cut_all_locked(struct task *root, const struct task *owner)
{
	for (struct kin *kin = family_first(root), *next; kin; kin = next) {
		struct branch *b = (struct branch *)kin;
		next = kin->next;
		if (!kin->reach || b->owner != owner)
			continue;
		weft__lock(&b->lock);
		cut_locked(root, b);
		weft__unlock(&b->lock); /* from here on it may be gone */
	}
}

void weft__family_leave(struct task *t)
{
	struct task *root = weft__family_root(t);

	weft__family_lock(root);
	if (t != root)
		remove_locked(root, &((struct fork *)t)->kin);
	if (t->flags & TASK_BRANCHES)
		cut_all_locked(root, t);
	weft__family_unlock(root);
}

bool weft__branch_enter(struct branch *b, struct task *t)
{
	struct task *root = weft__family_root(t);

	weft__family_lock(root);
	weft__lock(&b->lock);
	b->owner = t;
	weft__unlock(&b->lock);
	add_locked(root, &b->kin);
	bool cancelled = cancel_of(t) & CANCEL_REQUESTED; /* it is REACHED */
	weft__family_unlock(root);
	return cancelled;
}

/* One attempt; against the order of the locks. */
static bool try_cut(struct branch *b)
{
	bool out = true;

	weft__lock(&b->lock);
	/* The owner needs this lock before it can end. */
	struct task *root = b->owner ? weft__family_root(b->owner) : NULL;
	if (root) {
		out = try_lock(root);
		if (out) {
			cut_locked(root, b);
			weft__family_unlock(root);
		}
	}
	weft__unlock(&b->lock);
	return out;
}

void weft__branch_leave(struct branch *b)
{
	for (unsigned looks = 0; !try_cut(b); looks++)
		weft__pause(looks);
}

void weft__branch_await(struct branch *b)
{
	/* acquire: the canceller's last look at the branch, released by weft__reach_branches(). */
	for (unsigned looks = 0; atomic_load_explicit(&b->pinned, memory_order_acquire); looks++)
		weft__pause(looks);
}

/* Not inlined, so that tools/check_tls.py finds by its name that the pointer leads to no switch. */
__attribute__((noinline)) void weft__reach_branches(struct branch *pinned)
{
	while (pinned) {
		struct branch *b = pinned;
		pinned = b->next;
		b->kin.reach(b, &pinned);
		/* release: our last look at it, for weft__branch_await(). */
		atomic_store_explicit(&b->pinned, 0, memory_order_release);
	}
}

bool weft__family_requested_above(struct task *t)
{
	for (struct task *a = family_parent(t); a; a = family_parent(a)) {
		uint32_t cancel = cancel_of(a);
		if (cancel & (CANCEL_REQUESTED | CANCEL_REACHED))
			return cancel & CANCEL_REQUESTED;
	}
	return false;
}

bool weft__family_cancelled(struct worker *w, struct task *t, bool looks_at_clock)
{
	struct task *above = t;
	uint32_t cancel = cancel_of(t), seen = cancel;

	for (unsigned looks = 0; !(cancel & CANCEL_REQUESTED); looks++) {
		bool late = cancel & CANCEL_REACHED && looks_at_clock && seen & CANCEL_TIMED &&
			    weft__scope_is_late(t);
		if (cancel & CANCEL_REACHED && !late)
			return false;
		bool enters = late || looks == LOOK_UP;
		if (enters)
			enter_running(w, t);
		above = enters ? t : family_parent(above);
		cancel = cancel_of(above);
		seen |= cancel;
	}
	/* First its own, which is in the word that we have just read. Then its root's, which is the lock
	 * of all: family.h, invariant 4. The canceller has stored that one before, but alone a look at it
	 * could come too soon to see it. */
	if (__builtin_expect(canceller_looks(above), 0))
		weft__await_canceller(above);
	above = weft__family_root(above);
	if (__builtin_expect(canceller_looks(above), 0))
		weft__await_canceller(above);
	return true;
}
