/* SPDX-License-Identifier: MIT */
/* Families of forks, and how a cancellation reaches them: see family.h. */
#include "family.h"

#include "rouse.h"
#include "runtime.h"
#include "scope.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/lockcheck.h"
#include "src/base/pause.h"
#include "wait.h"

/* weft_cancelled() looks at this many tasks above a fork. A fork with more above it enters the
 * family's list, and is then told of each request. */
#define LOOK_UP 32

static inline uint32_t cancel_of(struct task *t)
{
	/* relaxed: a request publishes nothing, and the lock orders the rest. */
	return load_relaxed(&t->cancel);
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
	       WEFT__TRIES(root, WEFT__RANK_FAMILY,
			   cas_acquire(&root->cancel, &cancel, cancel | CANCEL_BUSY));
}

void weft__family_lock(struct task *root)
{
	uint32_t cancel = cancel_of(root);

	WEFT__TAKES(root, WEFT__RANK_FAMILY, (void)0);
	for (unsigned looks = 0;; looks++) {
		/* acquire: sees the section of the last holder, released by weft__family_unlock()
		 * or claim(). */
		if (!(cancel & CANCEL_BUSY) &&
		    cas_weak_acquire(&root->cancel, &cancel, cancel | CANCEL_BUSY))
			return;
		if (cancel & CANCEL_BUSY) {
			weft__pause(looks);
			cancel = cancel_of(root);
		}
	}
}

void weft__family_unlock(struct task *root)
{
	/* release: publishes our section, to the next holder's acquire in weft__family_lock() or
	 * request(). It also publishes our last look at the root, to canceller_looks(). */
	WEFT__GIVES(root, WEFT__RANK_FAMILY, fetch_and_release(&root->cancel, ~CANCEL_BUSY));
}

static void set_first(struct task *root, struct kin *kin)
{
	/* relaxed: under the lock. */
	store_relaxed(&root->family, (uintptr_t)kin | FAMILY_ROOT);
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

	/* If t runs as a call, this tells its end that it has to leave the family. */
	if (w && t->home == TASK_NO_HOME)
		t->home = w->id;
	weft__family_lock(root);
	for (struct task *a = t; a; a = family_parent(a)) {
		uint32_t cancel = cancel_of(a);
		reached |= cancel & CANCEL_REQUESTED;
		if (unlikely(cancel & CANCEL_TIMED) && weft__scope_keep(w, a))
			reached |= CANCEL_REQUESTED;
		if (cancel & CANCEL_REACHED)
			break;
	}
	f->kin.reach = NULL;
	add_locked(root, &f->kin);
	/* relaxed: the unlock publishes it. */
	fetch_or_relaxed(&t->cancel, reached);
	weft__family_unlock(root);
}

/* As weft__family_enter(), for a task that runs on afterwards. It announces the deadlines that the
 * entry may have armed, because nobody else does. */
static void enter_running(struct worker *w, struct task *t)
{
	weft__family_enter(w, t);
	if (w && w->duties.timer_armed)
		weft__announce_timer(w);
}

void weft__family_branches(struct worker *w, struct task *t)
{
	t->flags |= TASK_BRANCHES;
	if (!(cancel_of(t) & CANCEL_REACHED))
		enter_running(w, t);
}

/* Takes b out of the list. The caller holds the family's lock and b's lock. */
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
		weft__unlock(&b->lock); /* from here on b may be gone */
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
	bool cancelled = cancel_of(t) & CANCEL_REQUESTED; /* t is REACHED */
	weft__family_unlock(root);
	return cancelled;
}

/* Tries once to take b out of its list. It takes the two locks against their order, so it only
 * tries the second one. Returns false if that one is held. */
static bool try_cut(struct branch *b)
{
	bool out = true;

	weft__lock(&b->lock);
	/* The owner needs b's lock before it can end, so it lives. */
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
	/* acquire: sees the canceller's last look at the branch, released by
	 * weft__reach_branches(). */
	for (unsigned looks = 0; load_acquire(&b->held); looks++)
		weft__pause(looks);
}

WEFT__STAYS void weft__reach_branches(struct branch *held)
{
	while (held) {
		struct branch *b = held;
		held = b->next;
		b->kin.reach(b, &held);
		/* release: publishes our last look at b, to weft__branch_await() and to the next
		 * canceller, in hold() (cancel.c). */
		store_release(&b->held, 0);
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
	/* Wait first for the BUSY of `above`, whose word we have just read. Then wait for the BUSY
	 * of its root, which is the lock of the whole family: family.h, invariant 4. The canceller
	 * has set the root's BUSY first. But if we looked at the root alone, we could look too soon
	 * to see it. */
	if (unlikely(canceller_looks(above)))
		weft__await_canceller(above);
	above = weft__family_root(above);
	if (unlikely(canceller_looks(above)))
		weft__await_canceller(above);
	return true;
}
