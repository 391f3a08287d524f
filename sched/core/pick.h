/* SPDX-License-Identifier: MIT */
/*
 * What a worker takes from each of its own queues and from the injection queue: one function for
 * each source. pick.c has the order in which a worker's own picks go through them, find.c what the
 * leader does beside.
 *
 * What these return can run at once. NULL: there is nothing, or no stack for it (starve.c), or the
 * pick is put off (pick.c).
 */
#ifndef WEFT_CORE_PICK_H
#define WEFT_CORE_PICK_H

#include "find.h"
#include "sched/os/membarrier.h"

#define WEFT__INJECTION_BATCH 64 /* tasks that one look into the injection queue takes, at most */

static inline __attribute__((always_inline)) struct task *from_slot(struct worker *w)
{
	/* relaxed: only we fill the slot. */
	if (!atomic_load_explicit(&w->slot, memory_order_relaxed))
		return NULL;
	/* Store-load race with raid() in watch.c: taking, then raided. relaxed: the fences
	 * order. */
	atomic_store_explicit(&w->taking, true, memory_order_relaxed);
	weft__fence_light();
	struct task *t;
	/* acquire: what the last watcher left in the slot. */
	if (__builtin_expect(!atomic_load_explicit(&w->raided, memory_order_acquire), 1)) {
		/* relaxed, both: it is ours alone, and only we fill it. */
		t = atomic_load_explicit(&w->slot, memory_order_relaxed);
		atomic_store_explicit(&w->slot, NULL, memory_order_relaxed);
	} else {
		/* acq_rel: against the watcher's exchange. */
		t = atomic_exchange_explicit(&w->slot, NULL, memory_order_acq_rel);
	}
	/* release: that it is empty, for raid(). */
	atomic_store_explicit(&w->taking, false, memory_order_release);
	return t;
}

/* The newest of the deque. */
struct task *weft__from_deque(struct worker *w, enum stack_for stack);

/* The oldest of the deque, which costs more than the newest. */
struct task *weft__from_deque_end(struct worker *w, enum stack_for stack);

struct task *weft__from_inbox(struct worker *w, enum stack_for stack);

/* Takes up to max tasks of the injection queue: one for now, the others to the ring. */
struct task *weft__from_injection(struct worker *w, unsigned max, enum stack_for stack);

/* The oldest of the ring or, while that overflows, of its tail, the injection queue. */
struct task *weft__from_ring(struct worker *w, enum stack_for stack);

#endif
