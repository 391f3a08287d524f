/* SPDX-License-Identifier: MIT */
#include "family.h"

#include "sched/os/pause.h"
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

static void set_first(struct task *root, struct fork *f)
{
	/* relaxed: under the lock. */
	atomic_store_explicit(&root->family, (uintptr_t)f | FAMILY_ROOT, memory_order_relaxed);
}

void weft__family_enter(struct worker *w, struct task *t)
{
	struct fork *f = (struct fork *)t;
	struct task *root = weft__family_root(t);
	uint32_t reached = CANCEL_REACHED;

	/* By this its end, if it runs as a call, finds that it has to leave. */
	if (t->home == TASK_NO_HOME)
		t->home = w->id;
	weft__family_lock(root);
	for (struct task *a = family_parent(t); a; a = family_parent(a)) {
		uint32_t above = cancel_of(a);
		reached |= above & CANCEL_REQUESTED;
		if (above & CANCEL_REACHED)
			break;
	}
	f->prev = NULL;
	f->next = family_first(root);
	if (f->next)
		f->next->prev = f;
	set_first(root, f);
	/* relaxed: the unlock publishes it. */
	atomic_fetch_or_explicit(&t->cancel, reached, memory_order_relaxed);
	weft__family_unlock(root);
}

void weft__family_leave(struct task *t)
{
	struct fork *f = (struct fork *)t;
	struct task *root = weft__family_root(t);

	weft__family_lock(root);
	if (f->prev)
		f->prev->next = f->next;
	else
		set_first(root, f->next);
	if (f->next)
		f->next->prev = f->prev;
	weft__family_unlock(root);
}

bool weft__family_cancelled(struct worker *w, struct task *t)
{
	struct task *above = t;

	uint32_t cancel = cancel_of(t);

	for (unsigned looks = 0; !(cancel & CANCEL_REQUESTED); looks++) {
		if (cancel & CANCEL_REACHED)
			return false;
		if (looks == LOOK_UP)
			weft__family_enter(w, t);
		above = looks == LOOK_UP ? t : family_parent(above);
		cancel = cancel_of(above);
	}
	/* Its root's is the lock of all: see family.h, invariant 4. */
	above = weft__family_root(above);
	if (__builtin_expect(canceller_looks(above), 0))
		weft__await_canceller(above);
	return true;
}
