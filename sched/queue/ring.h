/* SPDX-License-Identifier: MIT */
/*
 * The ready ring: a queue of pointers, first in first out, that grows up to a limit. Its owner puts
 * at the tail and takes at the head; thieves take half of it, from the head too. When it is full
 * the caller finds another place.
 *
 * The model is the run queue of Go's scheduler, where whoever takes moves the head by a CAS. Here
 * the owner does not have to while no thief has come lately. Rejected: a deque used as a queue,
 * since with the owner's end first in first out there is no cheap end any more and stealing one at
 * a time hands work over too slowly; a lock, which a preempted thief would hold; claims of thieves
 * as the deque has them, which cost a heavy fence for each steal, and which an owner that takes
 * from a short ring every twenty nanoseconds outruns each time, so that nothing is ever stolen.
 *
 *	                        push  pop, ahead  steal  empty, size
 *	push                     X        X         -        -
 *	pop, ahead               X        X         -        -
 *	steal, empty, size       -        -         -        -
 *
 * X: only by the owner, one at a time; -: at any time, side by side.
 *
 * Invariants. The elements are those with an index in [the head, tail), index i in slot i & mask.
 * tail is the owner's. Where the head is depends on the state that `head` says with an index:
 *
 *	(i, OWNED)   in `mine`, which is at least i; the owner alone takes, with plain stores
 *	(i, ASKED)   the same; a thief has asked to share
 *	(i, SHARED)  at i; everybody takes, by moving it with a CAS
 *
 *	(i, OWNED)  -> (i, ASKED)       a thief
 *	(i, ASKED)  -> (mine, SHARED)   a thief, after its fence, unless the owner is taking; or the owner
 *	(i, SHARED) -> (i + n, SHARED)  whoever takes n
 *	(i, SHARED) -> (i, OWNED)       the owner, when it has taken many and thieves have taken none
 *
 * `mine` holds the index from which the owner takes next, and whether it is taking now; in all
 * states it is at most the head. To take, the owner says that it is taking, fences lightly, and
 * looks at the state: OWNED, and the element is its, and it says so by mine; else it takes back
 * what it said, and turns to the CAS. A thief asks, fences heavily, and looks at mine: at least one
 * of the two sees the other's store. Either the thief sees that the owner is taking, and leaves it
 * be; or the owner sees that a thief has asked; or it had finished before, and the thief sees where
 * it has got to. From then on mine stands still until the state is SHARED, since the owner goes on
 * only with the CAS that makes it so.
 *
 * No ABA: neither index ever goes back (62 bits do not wrap around), and between two times that the
 * state becomes OWNED the owner has taken something: (i, OWNED) and (i, ASKED), once gone, never
 * come back. (i, SHARED) does, once, when a thief asks before the owner has taken anything as
 * OWNED; then nothing from i on was taken, and no slot reused, in between.
 *
 * Slots, when SHARED, are read *before* the CAS that takes them, since after it the owner may
 * overwrite them. Whoever reads a slot that is being overwritten gets one value or the other (slots
 * are atomic; relaxed is enough), and then drops it: the owner reuses a slot only after it has seen
 * the head beyond it, so that a CAS which finds head where it was proves that no slot from there on
 * was reused. What the slots' values point to was published by the tail that was read before them.
 *
 * Beside each element lies a hint, which the ring does not look at. ahead() shows the owner an
 * element that will be popped soon, with its hint, or something that has been there; perhaps a
 * thief has taken it, so that it may be looked up, or prefetched, but not looked into.
 *
 * A buffer that was outgrown is never written again and stays until fini, since a thief may be
 * about to read it: all of them together are smaller than the last.
 *
 * Progress: push is wait-free (unless it grows), and so is pop while no thief comes; else pop is
 * lock-free, and so is steal: who has to repeat has lost to one who took something. A thief that
 * finds the owner in the middle of a pop waits a little, then goes away with nothing.
 */
#ifndef WEFT_SCHED_QUEUE_RING_H
#define WEFT_SCHED_QUEUE_RING_H

#include "sched/os/cacheline.h"
#include "sched/os/membarrier.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft__ring_slot {
	_Atomic(void *) element;
	_Atomic uintptr_t hint;
};

struct weft__ring_buffer {
	struct weft__ring_buffer *older; /* owner only: what this one replaced */
	uint64_t mask;                   /* immutable */
	struct weft__ring_slot slots[];
};

struct weft__ring {
	/* Written by the owner; thieves read them. */
	alignas(WEFT__CACHE_LINE) _Atomic uint64_t tail;
	_Atomic uint64_t mine; /* the index in the upper bits; the lowest: it is taking */

	/* Owner only. */
	uint64_t full; /* tail must not get past this in this buffer: at most head + its capacity */
	uint64_t mask; /* of the current buffer */
	uint64_t shrunk;               /* tail when its memory was last given back */
	struct weft__ring_slot *slots; /* of the current buffer */
	uint64_t most;                 /* capacity that it may grow to; immutable */
	unsigned calm;                 /* taken while SHARED since a thief took something */

	/* Written by thieves, and by the owner when it is not OWNED: index and state. */
	alignas(WEFT__CACHE_LINE) _Atomic uint64_t head;

	/* Written by the owner when it grows; thieves read it. */
	_Atomic(struct weft__ring_buffer *) buffer;
};

enum weft__ring_state {
	WEFT__RING_OWNED = 0,
	WEFT__RING_ASKED = 1,
	WEFT__RING_SHARED = 2,
};

#define WEFT__RING_STATE 3u /* the bits of head that hold it */

static inline uint64_t weft__ring_index(uint64_t head)
{
	return head >> 2;
}

/*
 * An empty ring. Calls weft__fence_init().
 *
 * @capacity  elements before it grows for the first time; a power of two, at least 2.
 * @most      how many it may grow to; a power of two, at least capacity.
 *
 * 0; -EINVAL: they are not; -ENOMEM.
 */
int weft__ring_init(struct weft__ring *r, unsigned capacity, unsigned most);

/* Frees the buffers. Nobody may use the ring any more; elements that are still in it are the
 * caller's. */
void weft__ring_fini(struct weft__ring *r);

/* Cold part of push, when the buffer is full as far as the owner knows. */
bool weft__ring_push_full(struct weft__ring *r, void *element, uintptr_t hint);

/* Cold part of pop, when thieves have come. */
void *weft__ring_pop_shared(struct weft__ring *r);

/* Adds an element in a buffer that has room. Owner only. */
static inline void weft__ring_put(struct weft__ring *r, uint64_t tail, void *element,
				  uintptr_t hint)
{
	struct weft__ring_slot *slot = &r->slots[tail & r->mask];

	/* relaxed, both: the next line publishes them. */
	atomic_store_explicit(&slot->element, element, memory_order_relaxed);
	atomic_store_explicit(&slot->hint, hint, memory_order_relaxed);
	/* release: publishes the slot, what it points to and the buffer, to steal's load of
	 * tail. */
	atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
}

/*
 * Adds an element at the tail. Owner only.
 *
 * @element  not NULL. Everything before the push happens before whoever takes it.
 * @hint     see ahead().
 *
 * Linearises at the store of tail. false: the ring is full, and may not or cannot grow.
 */
static inline bool weft__ring_push(struct weft__ring *r, void *element, uintptr_t hint)
{
	/* relaxed: only the owner writes it. */
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	if (__builtin_expect(tail == r->full, 0))
		return weft__ring_push_full(r, element, hint);
	weft__ring_put(r, tail, element, hint);
	return true;
}

/* Takes the oldest element, or returns NULL when there is none. Owner only. Linearises at the
 * store of mine or, when thieves have come, at a CAS. */
static inline void *weft__ring_pop(struct weft__ring *r)
{
	/* relaxed, both: only the owner writes them. */
	uint64_t mine = atomic_load_explicit(&r->mine, memory_order_relaxed);
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	/* The head is not below mine. */
	if (mine == tail << 1)
		return NULL;

	/* Store-load race with share() in ring.c: we store that we are taking, then read the
	 * state; a thief asks in the state, then reads mine. relaxed: the fences order. */
	atomic_store_explicit(&r->mine, mine | 1, memory_order_relaxed);
	weft__fence_light();
	/* relaxed: that it is OWNED we have said ourselves, and nothing was published with it. */
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	if (__builtin_expect((head & WEFT__RING_STATE) == WEFT__RING_OWNED, 1)) {
		/* relaxed: the owner wrote it. */
		void *element = atomic_load_explicit(&r->slots[(mine >> 1) & r->mask].element,
						     memory_order_relaxed);
		/* release: tail, for who reads it after mine: it is then not below. */
		atomic_store_explicit(&r->mine, mine + 2, memory_order_release);
		return element;
	}
	/* release: as above. */
	atomic_store_explicit(&r->mine, mine, memory_order_release);
	return weft__ring_pop_shared(r);
}

/*
 * What is `distance` places behind the next one to be popped, as far as the owner knows. Owner
 * only. A hint: a thief may have taken it. NULL: there is no such element.
 */
static inline void *weft__ring_ahead(struct weft__ring *r, unsigned distance, uintptr_t *ret_hint)
{
	/* relaxed, all: only the owner writes them. */
	uint64_t index = (atomic_load_explicit(&r->mine, memory_order_relaxed) >> 1) + distance;

	if (index >= atomic_load_explicit(&r->tail, memory_order_relaxed))
		return NULL;
	struct weft__ring_slot *slot = &r->slots[index & r->mask];
	*ret_hint = atomic_load_explicit(&slot->hint, memory_order_relaxed);
	return atomic_load_explicit(&slot->element, memory_order_relaxed);
}

/*
 * Takes the older half of the elements (of an odd number the larger half), at most max, into out,
 * oldest first, with their hints. Returns how many; 0: the ring was empty, or its owner was just
 * taking something, so that 0 does not mean empty: who is about to sleep asks weft__ring_empty().
 * Any thread. Linearises at the CAS. Costs a heavy fence if the owner has been left alone lately.
 *
 * @ret_hints  may be NULL.
 */
unsigned weft__ring_steal(struct weft__ring *r, void **out, uintptr_t *ret_hints, unsigned max);

/* How many elements there were at some time during the call, or more: a hint. Any thread. */
static inline unsigned weft__ring_size(struct weft__ring *r)
{
	/* acquire, both: tail is read after them, and so is not below them. All three only grow,
	 * and the head is at neither of the two or behind both: if tail is where they are the ring
	 * was empty when it was read. */
	uint64_t head = weft__ring_index(atomic_load_explicit(&r->head, memory_order_acquire));
	uint64_t mine = atomic_load_explicit(&r->mine, memory_order_acquire) >> 1;
	/* relaxed: a hint. */
	uint64_t size =
		atomic_load_explicit(&r->tail, memory_order_relaxed) - (head > mine ? head : mine);

	return size > UINT32_MAX ? UINT32_MAX : (unsigned)size;
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

/*
 * Gives back the memory of the buffers' slots, if there is much of it, it has been used since the last
 * time, and the ring is empty. The buffers stay. Owner only.
 *
 * A thief may be about to read a slot meanwhile, and then finds a zero in it. It does not take that:
 * whoever emptied the ring has moved the head beyond that slot, so the thief's CAS fails.
 */
void weft__ring_shrink(struct weft__ring *r);

#endif
