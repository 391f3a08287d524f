/* SPDX-License-Identifier: MIT */
/*
 * The ready ring: a bounded queue of pointers, first in first out. Its owner puts at the tail and
 * takes at the head; thieves take half of it, from the head too, with one CAS. When it is full the
 * caller finds another place.
 *
 * The model is the run queue of Go's scheduler. Rejected: a deque used as a queue, since with the
 * owner's end first in first out there is no cheap end any more and stealing one at a time hands
 * work over too slowly; a lock, which a preempted thief would hold.
 *
 *	                        push  pop  steal  empty, size
 *	push                     X     X     -        -
 *	pop                      X     X     -        -
 *	steal, empty, size       -     -     -        -
 *
 * X: only by the owner, one at a time; -: at any time, side by side.
 *
 * Invariants. The elements are those with an index in [head, tail), index i in slot i & mask, and
 * tail - head is never above the capacity. tail is the owner's. head only grows, and only by CAS:
 * who moves it has taken what it moved over.
 *
 * Slots are read *before* the CAS that takes them, since after it the owner may overwrite them.
 * Whoever reads a slot that is being overwritten gets one value or the other (slots are atomic;
 * relaxed is enough), and then drops it: the owner reuses a slot only after it has seen head beyond
 * it, and head never comes back (64 bits do not wrap around), so that a CAS which finds head where
 * it was proves that no slot from there on was reused. What the slots' values point to was
 * published by the tail that was read before them.
 *
 * Progress: push is wait-free; pop and steal are lock-free, who has to repeat has lost to one who
 * took something.
 */
#ifndef WEFT_SCHED_QUEUE_RING_H
#define WEFT_SCHED_QUEUE_RING_H

#include "sched/os/cacheline.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WEFT__RING_CAPACITY 256 /* the usual one */

struct weft__ring {
	/* Written by the owner; thieves read it. */
	alignas(WEFT__CACHE_LINE) _Atomic uint64_t tail;

	/* Owner only. */
	uint64_t full; /* tail must not get past this: at most head + capacity */

	/* Immutable. */
	uint64_t mask;
	_Atomic(void *) *slots;

	/* Written and read by owner and thieves. */
	alignas(WEFT__CACHE_LINE) _Atomic uint64_t head;
};

/*
 * An empty ring.
 *
 * @capacity  a power of two, at least 2.
 *
 * 0; -EINVAL: it is not; -ENOMEM.
 */
int weft__ring_init(struct weft__ring *r, unsigned capacity);

/* Frees the slots. Nobody may use the ring any more; elements that are still in it are the
 * caller's. */
void weft__ring_fini(struct weft__ring *r);

/*
 * Adds an element at the tail. Owner only.
 *
 * @element  not NULL. Everything before the push happens before whoever takes it.
 *
 * Linearises at the store of tail. false: the ring is full.
 */
static inline bool weft__ring_push(struct weft__ring *r, void *element)
{
	/* relaxed: only the owner writes it. */
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (__builtin_expect(tail == r->full, 0)) {
		/* acquire: pairs with the CAS of steal; what it read from the slots that
		 * we are about to reuse is read before. */
		r->full = atomic_load_explicit(&r->head, memory_order_acquire) + r->mask + 1;
		if (tail == r->full)
			return false;
	}

	/* relaxed: the next line publishes it. */
	atomic_store_explicit(&r->slots[tail & r->mask], element, memory_order_relaxed);
	/* release: publishes the slot and what it points to, to steal's load of tail. */
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
	return true;
}

/* Takes the oldest element, or returns NULL when there is none. Owner only. Linearises at the
 * CAS. */
static inline void *weft__ring_pop(struct weft__ring *r)
{
	/* relaxed, both: the owner wrote tail and the slots itself, and of head only the value
	 * counts. */
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	while (head != tail) {
		/* relaxed: the owner wrote it. */
		void *element =
			atomic_load_explicit(&r->slots[head & r->mask], memory_order_relaxed);

		/* relaxed: the slot is reused by this thread only. A failure, which says that a
		 * thief took something, reloads head. */
		if (atomic_compare_exchange_weak_explicit(
			    &r->head, &head, head + 1, memory_order_relaxed, memory_order_relaxed))
			return element;
	}
	return NULL;
}

/*
 * Takes the older half of the elements (of an odd number the larger half), at most max, into out,
 * oldest first. Returns how many; 0 only if the ring was empty. Any thread. Linearises at the CAS.
 */
unsigned weft__ring_steal(struct weft__ring *r, void **out, unsigned max);

/* How many elements there were at some time during the call, or more: a hint. Any thread. */
static inline unsigned weft__ring_size(struct weft__ring *r)
{
	/* acquire: tail is read after head. Both only grow, so tail is then not below head, and if
	 * they are equal the ring was empty when head was read. */
	uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	/* relaxed: a hint. */
	uint64_t size = atomic_load_explicit(&r->tail, memory_order_relaxed) - head;

	return size > r->mask ? (unsigned)r->mask + 1 : (unsigned)size;
}

/*
 * Whether there was nothing to take at some time during the call. Any thread. After a
 * weft__fence_heavy() it sees any element whose push was followed by a weft__fence_light() that did
 * not notice the caller's earlier store.
 */
static inline bool weft__ring_empty(struct weft__ring *r)
{
	return weft__ring_size(r) == 0;
}

#endif
