/* SPDX-License-Identifier: MIT */
/*
 * What a worker takes from its own queues and from the injection queue. There is one function for
 * each source. pick.c has the order in which a worker's own picks use them. find.c has what the
 * leader does besides.
 *
 * A task that they return can run at once. NULL has three reasons: there is no task, there is no
 * stack for it (starve.c), or the pick is put off (pick.c).
 */
#ifndef WEFT_CORE_PICK_H
#define WEFT_CORE_PICK_H

#include "find.h"
#include "src/base/atomic.h"
#include "src/base/fence.h"

#define WEFT__INJECTION_BATCH 64 /* the most tasks that one look into the injection queue takes */

static inline __attribute__((always_inline)) struct task *from_slot(struct worker *w)
{
	/* relaxed: only we fill the slot. */
	if (!load_relaxed(&w->slot))
		return NULL;
	/* Store-load race with raid() in watch.c: taking, then raided. relaxed: the fences
	 * order. */
	store_relaxed(&w->taking, true);
	weft__fence_light();
	struct task *t;
	/* acquire: what the last watcher left in the slot. */
	if (__builtin_expect(!load_acquire(&w->raided), 1)) {
		/* relaxed, both: the slot is ours alone now, and only we fill it. */
		t = load_relaxed(&w->slot);
		store_relaxed(&w->slot, NULL);
	} else {
		/* acq_rel: against the watcher's exchange. */
		t = exchange_acq_rel(&w->slot, NULL);
	}
	/* release: that the slot is empty, for raid(). */
	store_release(&w->taking, false);
	return t;
}

/* Takes the newest task of the deque. */
struct task *weft__from_deque(struct worker *w, enum stack_for stack);

/* Takes the oldest task of the deque. This costs more than the newest. */
struct task *weft__from_deque_end(struct worker *w, enum stack_for stack);

struct task *weft__from_inbox(struct worker *w, enum stack_for stack);

/* Takes up to max tasks of the injection queue. Returns one, and puts the others into the ring. */
struct task *weft__from_injection(struct worker *w, unsigned max, enum stack_for stack);

/* Takes the oldest task of the ring. While the ring overflows, the injection queue is its tail. */
struct task *weft__from_ring(struct worker *w, enum stack_for stack);

#endif
