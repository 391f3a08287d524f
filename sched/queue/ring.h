/* SPDX-License-Identifier: MIT */
/*
 * The ready ring: a queue of pointers, first in first out, that grows up to a limit. Its owner puts
 * at the tail and takes at the head. Thieves take half of it, also from the head. When the ring is
 * full, the caller finds another place.
 *
 * The model is the run queue of Go's scheduler, in which every taker moves the head by a CAS. Here
 * the owner needs no CAS while no thief has come lately.
 *
 * Which operations may run side by side:
 *
 * 	                        push  pop, ahead  steal  empty, size
 * 	push                     X        X         -        -
 * 	pop, ahead               X        X         -        -
 * 	steal, empty, size       -        -         -        -
 *
 * X: only by the owner, one at a time. -: at any time, side by side.
 *
 * Invariants. The elements have the indices [the head, tail). Index i is in slot i & mask. tail is
 * the owner's. `head` holds an index and a state. The state says where the head is:
 *
 * 	(i, OWNED)   The head is `mine`, which is at least i. Only the owner takes, with plain
 * 	             stores.
 * 	(i, ASKED)   The same, but a thief has asked to share.
 * 	(i, SHARED)  The head is i. All threads take, by moving it with a CAS.
 *
 * 	(i, OWNED)  -> (i, ASKED)       a thief
 * 	(i, ASKED)  -> (mine, SHARED)   a thief, after its fence, unless the owner is taking;
 * 	                                or the owner
 * 	(i, SHARED) -> (i + n, SHARED)  the thread that takes n
 * 	(i, SHARED) -> (i, OWNED)       the owner, when it has taken many and thieves none
 *
 * `mine` holds the index from which the owner takes next, and whether the owner is taking now. In
 * all states it is at most the head.
 *
 * To take, the owner stores that it is taking, fences lightly, and looks at the state. If the state
 * is OWNED, the element is the owner's, and the owner stores that in mine. Otherwise the owner
 * withdraws its store and uses the CAS.
 *
 * A thief asks, fences heavily, and looks at mine. At least one of the two sides sees the other's
 * store:
 *
 *  (a) The thief sees that the owner is taking, and leaves it alone.
 *  (b) The owner sees that a thief has asked.
 *  (c) The owner had finished before, and the thief sees how far it has come.
 *
 * From then on mine stands still until the state is SHARED. The owner continues only with the CAS
 * that makes it SHARED.
 *
 * No ABA. Neither index ever goes back, and 62 bits do not wrap around. Between two changes of the
 * state to OWNED, the owner has taken something. So (i, OWNED) and (i, ASKED) never come back once
 * they are gone. (i, SHARED) can come back once, if a thief asks before the owner has taken
 * anything as OWNED. In between nothing from i on was taken, and no slot was reused.
 *
 * Slots. In the state SHARED, a taker reads the slots *before* the CAS that takes them, because
 * after it the owner may overwrite them. A thread that reads a slot during an overwrite gets one
 * value or the other, and then drops it. Slots are atomic, and relaxed is enough. The owner reuses
 * a slot only after it has seen the head beyond that slot. So a CAS that finds head unchanged
 * proves that no slot from there on was reused. The tail that was read before the slots published
 * the content of the elements.
 *
 * Beside each element is a hint, which the ring ignores. ahead() shows the owner an element that
 * will be popped soon, with its hint, or an element that has been there. A thief may have taken
 * that element. So the owner may look it up or prefetch it, but not look into it.
 *
 * A buffer that was outgrown is never written again. It stays until fini, because a thief may be
 * about to read it. All outgrown buffers together are smaller than the last one.
 *
 * Progress. push is wait-free unless it grows. pop is wait-free while no thief comes. Otherwise pop
 * is lock-free, and so is steal: a side that has to repeat has lost to one that took something. A
 * thief that finds the owner in the middle of a pop waits a little, then leaves with nothing.
 *
 * Rejected: a deque used as a queue. With the owner's end first in first out it has no cheap end,
 * and stealing one element at a time hands work over too slowly. Rejected: a lock, which a
 * preempted thief would hold. Rejected: claims of thieves as in the deque. They cost a heavy fence
 * for each steal. An owner that takes from a short ring every twenty nanoseconds also outruns them
 * each time, and nothing is ever stolen.
 */
#ifndef WEFT_SCHED_QUEUE_RING_H
#define WEFT_SCHED_QUEUE_RING_H

#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/fence.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft__ring_slot {
	_Atomic(void *) element;
	_Atomic uintptr_t hint;
};

struct weft__ring_buffer {
	struct weft__ring_buffer *older; /* owner only: the buffer that this one replaced */
	uint64_t mask;                   /* immutable */
	struct weft__ring_slot slots[];
};

struct weft__ring {
	/* Written by the owner, read by thieves. */
	alignas(WEFT__CACHE_LINE) _Atomic uint64_t tail;
	_Atomic uint64_t mine; /* the index, shifted by one; the lowest bit: the owner is taking */

	/* Owner only. */
	uint64_t full;   /* the limit of tail in this buffer: at most head + its capacity */
	uint64_t mask;   /* of the current buffer */
	uint64_t shrunk; /* tail when memory was last given back */
	struct weft__ring_slot *slots; /* of the current buffer */
	uint64_t most;                 /* the capacity that it may grow to; immutable */
	unsigned calm; /* elements taken while SHARED since a thief last took some */

	/* Written by thieves, and by the owner if it is not OWNED: index and state. */
	alignas(WEFT__CACHE_LINE) _Atomic uint64_t head;

	/* Written by the owner when it grows, read by thieves. */
	_Atomic(struct weft__ring_buffer *) buffer;
};

enum weft__ring_state {
	WEFT__RING_OWNED = 0,
	WEFT__RING_ASKED = 1,
	WEFT__RING_SHARED = 2,
};

#define WEFT__RING_STATE 3u /* the bits of head that hold the state */

static inline uint64_t weft__ring_index(uint64_t head)
{
	return head >> 2;
}

/*
 * Makes an empty ring. Calls weft__fence_init().
 *
 * @capacity  elements before it grows for the first time; a power of two, at least 2.
 * @most      the most elements that it may grow to; a power of two, at least capacity.
 *
 * Returns 0, -EINVAL if an argument breaks these rules, or -ENOMEM.
 */
int weft__ring_init(struct weft__ring *r, unsigned capacity, unsigned most);

/* Frees the buffers. No thread may use the ring afterwards. Elements that are still in it belong to
 * the caller. */
void weft__ring_fini(struct weft__ring *r);

/* Cold part of push, for a buffer that is full as far as the owner knows. */
bool weft__ring_push_full(struct weft__ring *r, void *element, uintptr_t hint);

/* Cold part of pop, for when thieves have come. */
void *weft__ring_pop_shared(struct weft__ring *r);

/* Adds an element to a buffer that has room. Owner only. */
static inline void weft__ring_put(struct weft__ring *r, uint64_t tail, void *element,
				  uintptr_t hint)
{
	struct weft__ring_slot *slot = &r->slots[tail & r->mask];

	/* relaxed, both: the next line publishes them */
	store_relaxed(&slot->element, element);
	store_relaxed(&slot->hint, hint);
	/* release: publishes the slot, its element's content and the buffer to the load of tail in
	 * weft__ring_steal(). */
	store_release(&r->tail, tail + 1);
}

/*
 * Adds an element at the tail. Owner only.
 *
 * @element  not NULL. Everything before the push happens before its taking.
 * @hint     see ahead().
 *
 * Linearises at the store of tail. Returns false if the ring is full and may not or cannot grow.
 */
static inline bool weft__ring_push(struct weft__ring *r, void *element, uintptr_t hint)
{
	/* relaxed: only the owner writes it */
	uint64_t tail = load_relaxed(&r->tail);

	if (unlikely(tail == r->full))
		return weft__ring_push_full(r, element, hint);
	weft__ring_put(r, tail, element, hint);
	return true;
}

/* Takes the oldest element, or returns NULL if there is none. Owner only. Linearises at the store
 * of mine or, when thieves have come, at a CAS. */
static inline void *weft__ring_pop(struct weft__ring *r)
{
	/* relaxed, both: only the owner writes them */
	uint64_t mine = load_relaxed(&r->mine);
	uint64_t tail = load_relaxed(&r->tail);

	/* The head is never below mine. */
	if (mine == tail << 1)
		return NULL;

	/* Store-load race with share() in ring.c. We store that we are taking, then read the state.
	 * A thief asks in the state, then reads mine. relaxed: the fences order. */
	store_relaxed(&r->mine, mine | 1);
	weft__fence_light();
	/* relaxed: we made it OWNED ourselves, and published nothing with it. */
	uint64_t head = load_relaxed(&r->head);
	if (likely((head & WEFT__RING_STATE) == WEFT__RING_OWNED)) {
		/* relaxed: the owner wrote it */
		void *element = load_relaxed(&r->slots[(mine >> 1) & r->mask].element);
		/* release: publishes tail to a thread that reads it after mine. tail is then not
		 * below mine. */
		store_release(&r->mine, mine + 2);
		return element;
	}
	/* release: as above */
	store_release(&r->mine, mine);
	return weft__ring_pop_shared(r);
}

/*
 * The element `distance` places behind the next one to pop, as far as the owner knows. Owner only.
 * A hint, because a thief may have taken it. Returns NULL if there is no such element.
 */
static inline void *weft__ring_ahead(struct weft__ring *r, unsigned distance, uintptr_t *ret_hint)
{
	/* relaxed, all: only the owner writes them */
	uint64_t index = (load_relaxed(&r->mine) >> 1) + distance;

	if (index >= load_relaxed(&r->tail))
		return NULL;
	struct weft__ring_slot *slot = &r->slots[index & r->mask];
	*ret_hint = load_relaxed(&slot->hint);
	return load_relaxed(&slot->element);
}

/*
 * Takes the older half of the elements, at most max, into out, oldest first, with their hints. Of
 * an odd number it takes the larger half. Returns how many it took. It returns 0 if the ring was
 * empty or its owner was just taking something. So 0 does not mean empty: a thread that is about to
 * sleep asks weft__ring_empty(). Any thread. Linearises at the CAS. Costs a heavy fence if the
 * owner has been left alone lately.
 *
 * @ret_hints  may be NULL.
 */
unsigned weft__ring_steal(struct weft__ring *r, void **out, uintptr_t *ret_hints, unsigned max);

/* The number of elements at some time during the call, or more. A hint. Any thread. */
static inline unsigned weft__ring_size(struct weft__ring *r)
{
	/* acquire, both: tail is read after them, and so is not below them. All three only grow.
	 * The head is at one of the two, or behind both. If tail is where they are, the ring was
	 * empty when tail was read. */
	uint64_t head = weft__ring_index(load_acquire(&r->head));
	uint64_t mine = load_acquire(&r->mine) >> 1;
	/* relaxed: a hint */
	uint64_t size = load_relaxed(&r->tail) - (head > mine ? head : mine);

	return size > UINT32_MAX ? UINT32_MAX : (unsigned)size;
}

/*
 * Whether there was nothing to take at some time during the call. Any thread. Suppose the caller
 * made a store and then a weft__fence_heavy(). If a push was followed by a weft__fence_light() that
 * did not notice the store, this call sees the pushed element.
 */
static inline bool weft__ring_empty(struct weft__ring *r)
{
	return weft__ring_size(r) == 0;
}

/*
 * Gives back the memory of the buffers' slots. It does so only if that is much memory, it has been
 * used since the last time, and the ring is empty. The buffers stay. Owner only.
 *
 * A thief may be about to read a slot, and then finds a zero in it. The thief does not take the
 * zero. The thread that emptied the ring has moved the head beyond that slot, so the thief's CAS
 * fails.
 */
void weft__ring_shrink(struct weft__ring *r);

#endif
