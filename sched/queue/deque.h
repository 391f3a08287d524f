/* SPDX-License-Identifier: MIT */
/*
 * A work-stealing deque of pointers: its owner pushes and pops at the bottom, last in first out;
 * thieves take at the top, first in first out.
 *
 * Chase and Lev, "Dynamic circular work-stealing deque" (SPAA 2005), with the orderings of Lê, Pop,
 * Cohen and Zappa Nardelli, "Correct and efficient work-stealing for weak memory models" (PPoPP
 * 2013), except that
 *  - the two fences are the asymmetric pair of sched/os/membarrier.h, so the owner pays nothing for
 *    thieves that do not come. Rejected: a full fence in pop (doubles the cost of a fork and its
 *    join); Lace's split deque, whose private part thieves cannot take from until a busy owner
 *    finds time to share it;
 *  - bottom is stored with release instead of after a release fence, which ThreadSanitizer would
 *    not see;
 *  - the owner keeps the index at which its buffer is full, as of the last time it looked, and so
 *    reads top, which thieves write, only once in a round of the buffer;
 *  - pop_if looks at the bottom slot before it touches anything that thieves see;
 *  - thieves claim before they take, as many as they like, so a batch costs one heavy fence, and
 *    the owner's pop of the last element costs no locked instruction while no thief is about.
 *
 * 	                          push  pops  steal  empty, size
 * 	push, pops                 X     X      -         -
 * 	steal, empty, size         -     -      -         -
 *
 * X: only by the owner, one at a time; -: at any time, side by side. A new thread may become the
 * owner if everything the old one did happens before.
 *
 * Invariants. The elements are those with an index in [top, bottom), index i in slot i & mask.
 * `front` holds top and, beside it, the claim: how many elements from there thieves are about to
 * take. It changes by a CAS only:
 *
 * 	(t, 0) -> (t, n)      a thief claims, n >= 1
 * 	(t, n) -> (t + k, 0)  a thief, whoever claimed, takes k of them, 1 <= k <= n
 * 	(t, n) -> (t, k)      1 <= k < n: the owner takes element t + k and leaves those below it to thieves;
 * 	                      or a thief has found nothing, and k is 1
 * 	(t, n) -> (t + 1, 0)  the owner takes element t, as the last one or, n = 0 too, as the oldest
 *
 * A thief claims, unless there is a claim, fences, reads bottom, and takes what is below both
 * bottom and the end of the claim. The owner lowers bottom, fences, reads front, and takes its
 * element without a CAS if that is not below the end of the claim. At least one of the two sees the
 * other's store: either the thief sees bottom lowered, and leaves the element, or the owner sees
 * the claim, and an element that is claimed changes hands by a CAS of front alone: whoever does it
 * has it.
 *
 * No ABA. While top stays at t the claim goes once from 0 to some n and from then on only down,
 * never to 0. So a value with a claim, once gone, never comes back, and as long as it is there
 * nobody has taken the elements that it claims, but for pops that have not seen the claim and of
 * which the fence tells. A value without one may stay through any number of pushes and pops; but
 * all that a thief has read before its claim it reads again after it. A claim on what has been
 * popped meanwhile stays, cut to 1, until the owner's next pop of that element. Top has 52 bits:
 * ten million a second that are stolen, or popped under the eyes of a thief, wrap it around in
 * seven years.
 *
 * A buffer that was outgrown is never written again and stays until fini, since a thief may be
 * about to read it: all of them together are smaller than the last.
 *
 * Progress: push is wait-free (unless it grows); a pop is retried only if a thief has taken or cut
 * meanwhile; steal fails at once if it loses a race, but for one with who cuts. A thief that is
 * preempted after its claim stands in nobody's way: others take what it claimed.
 *
 * Rejected: a lock among thieves, for which the owner would have to wait; a claim that is taken
 * back to 0 (ABA); taking ranges with top alone, with a CAS of the owner's for each of the last
 * elements (the few of a fork-join recursion are always among these).
 */
#ifndef WEFT_SCHED_QUEUE_DEQUE_H
#define WEFT_SCHED_QUEUE_DEQUE_H

#include "sched/os/cacheline.h"
#include "sched/os/membarrier.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft__deque_buffer {
	struct weft__deque_buffer *older; /* owner only: what this one replaced */
	int64_t mask;                     /* immutable */
	/* Atomic because a thief may read a slot that the owner overwrites; that thief's CAS then
	 * fails. */
	_Atomic(void *) slots[];
};

struct weft__deque {
	/* Written by the owner; thieves read it. */
	alignas(WEFT__CACHE_LINE) _Atomic int64_t bottom;

	/* Owner only. */
	int64_t full; /* bottom must not get past this in this buffer: at most top + its capacity */
	int64_t mask; /* of the current buffer */
	int64_t shrunk;         /* bottom when its memory was last given back */
	_Atomic(void *) *slots; /* of the current buffer */

	/* Written by thieves, and by the owner for what they have claimed; all read it. The claim's
	 * end in the upper bits, its length in the lower ones. */
	alignas(WEFT__CACHE_LINE) _Atomic int64_t front;

	/* Written by the owner when it grows; thieves read it. */
	_Atomic(struct weft__deque_buffer *) buffer;
};

/* How many elements can be claimed at once. */
#define WEFT__DEQUE_CLAIM_BITS 12
#define WEFT__DEQUE_CLAIM_MAX  ((1 << WEFT__DEQUE_CLAIM_BITS) - 1)

/* The claim's end: below this index the owner takes nothing without a CAS. */
static inline int64_t weft__deque_limit_of(int64_t front)
{
	return front >> WEFT__DEQUE_CLAIM_BITS;
}

static inline int64_t weft__deque_top_of(int64_t front)
{
	return weft__deque_limit_of(front) - (front & WEFT__DEQUE_CLAIM_MAX);
}

/* Whether index is not below the limit: one comparison, for the owner's hot path. */
static inline bool weft__deque_is_unclaimed(int64_t front, int64_t index)
{
	return front < (index + 1) << WEFT__DEQUE_CLAIM_BITS;
}

/*
 * An empty deque, owned by whoever may call the owner's operations.
 *
 * @capacity  elements before it grows for the first time; rounded up to a power of two, at least 2.
 *
 * Calls weft__fence_init(). 0; -ENOMEM: no memory, or too large a capacity.
 */
int weft__deque_init(struct weft__deque *d, size_t capacity);

/* Frees the buffers. Nobody may use the deque any more; elements that are still in it are the
 * caller's. */
void weft__deque_fini(struct weft__deque *d);

/* Cold part of push, when the buffer is full as far as the owner knows. */
bool weft__deque_push_full(struct weft__deque *d, void *element);

/* Cold part of the pops, when bottom, which has just been lowered, is below the limit of front.
 * element, which is number bottom, if the owner got it, or NULL. */
void *weft__deque_take_claimed(struct weft__deque *d, int64_t bottom, int64_t front, void *element);

/* Adds an element in a buffer that has room. Owner only. */
static inline void weft__deque_put(struct weft__deque *d, int64_t bottom, void *element)
{
	/* relaxed: the next line publishes it. */
	atomic_store_explicit(&d->slots[bottom & d->mask], element, memory_order_relaxed);
	/* release: publishes the slot, what it points to and the buffer, to steal's second load of
	 * bottom. */
	atomic_store_explicit(&d->bottom, bottom + 1, memory_order_release);
}

/*
 * Adds an element at the bottom. Owner only.
 *
 * @element  not NULL. Everything before the push happens before whoever takes it.
 *
 * Linearises at the store of bottom. false: the deque was full and could not grow; it is unchanged.
 */
static inline bool weft__deque_push(struct weft__deque *d, void *element)
{
	/* relaxed: only the owner writes it. */
	int64_t bottom = atomic_load_explicit(&d->bottom, memory_order_relaxed);

	if (__builtin_expect(bottom == d->full, 0))
		return weft__deque_push_full(d, element);
	weft__deque_put(d, bottom, element);
	return true;
}

/* Lowers bottom by one, to `bottom`, and then reads front: if its limit is not above, element
 * number bottom is taken; else see weft__deque_take_claimed(). Owner only.
 *
 * @fence_is_free  weft__fence_light_is_free(), for a caller that knows it to be.
 */
static inline int64_t weft__deque_lower(struct weft__deque *d, int64_t bottom, bool fence_is_free)
{
	/* release: as in push, since a thief may get its bottom from here, and the elements below
	 * it were published by earlier stores, which an acquire of this one must bring along. */
	atomic_store_explicit(&d->bottom, bottom, memory_order_release);

	/* Store-load race with weft__deque_steal(): we lower bottom, then read front; a thief
	 * claims in front, then reads bottom. Either we see that the thief is at this element, or
	 * it sees that it is no longer there. */
	weft__fence_light_if(fence_is_free);

	/* relaxed: which side wins depends on the fence, and the element came from this thread. */
	return atomic_load_explicit(&d->front, memory_order_relaxed);
}

/* Takes the newest element, or returns NULL when there is none. Owner only. */
static inline void *weft__deque_pop(struct weft__deque *d)
{
	/* relaxed: only the owner writes it. */
	int64_t bottom = atomic_load_explicit(&d->bottom, memory_order_relaxed) - 1;

	/* relaxed: top only grows, so a deque that looks empty to its owner is empty. */
	if (bottom < weft__deque_top_of(atomic_load_explicit(&d->front, memory_order_relaxed)))
		return NULL;

	/* relaxed: the owner wrote it. */
	void *element = atomic_load_explicit(&d->slots[bottom & d->mask], memory_order_relaxed);
	int64_t front = weft__deque_lower(d, bottom, false);

	if (__builtin_expect(weft__deque_is_unclaimed(front, bottom), 1))
		return element;
	return weft__deque_take_claimed(d, bottom, front, element);
}

/*
 * Takes the newest element if it is `element`. Owner only. false: it is not, or has been stolen. No
 * store and no fence when another one is at the bottom; no locked instruction either unless a thief
 * at it.
 *
 * @fence_is_free  as for weft__deque_lower()
 */
static inline __attribute__((always_inline)) bool
weft__deque_pop_if_by(struct weft__deque *d, void *element, bool fence_is_free)
{
	/* relaxed: only the owner writes both. */
	int64_t bottom = atomic_load_explicit(&d->bottom, memory_order_relaxed) - 1;

	/* The slot may hold an element that is no longer there, or be one that was never written
	 * and holds NULL. What was stolen is told by top, which is above it then. */
	if (atomic_load_explicit(&d->slots[bottom & d->mask], memory_order_relaxed) != element)
		return false;

	int64_t front = weft__deque_lower(d, bottom, fence_is_free);

	if (__builtin_expect(weft__deque_is_unclaimed(front, bottom), 1))
		return true;
	return weft__deque_take_claimed(d, bottom, front, element) != NULL;
}

static inline bool weft__deque_pop_if(struct weft__deque *d, void *element)
{
	return weft__deque_pop_if_by(d, element, false);
}

/*
 * Takes as many as max elements, the oldest first. Returns their number: 0 when there is none or
 * when another thief or the owner got them first, so that 0 does not mean empty: who is about to
 * sleep asks weft__deque_empty(). Any thread. Linearises at its last CAS. Costs a heavy fence
 * unless the deque looks empty.
 *
 * @max  1 to WEFT__DEQUE_CLAIM_MAX
 */
unsigned weft__deque_steal(struct weft__deque *d, void **ret_elements, unsigned max);

/*
 * Takes the oldest element, or NULL when there is none or a thief was faster. Owner only.
 * Linearises at its CAS. As the owner knows bottom there is no store-load race, hence no fence: it
 * only races with thieves, and who moves top wins.
 */
void *weft__deque_pop_oldest(struct weft__deque *d);

/* About how many elements there were, a hint: right if nobody else is at it. Any thread. */
static inline size_t weft__deque_size(struct weft__deque *d)
{
	/* acquire: bottom is read after top. Where it is then not above, there was nothing to take
	 * at that moment, because top has not come back since. */
	int64_t front = atomic_load_explicit(&d->front, memory_order_acquire);
	/* relaxed: a hint. */
	int64_t size =
		atomic_load_explicit(&d->bottom, memory_order_relaxed) - weft__deque_top_of(front);

	return size > 0 ? (size_t)size : 0;
}

/*
 * Whether there was nothing to take. Any thread. A hint, except after a weft__fence_heavy(): an
 * element whose push was followed by a weft__fence_light() that did not notice the caller's earlier
 * store is then seen, if it is still there.
 */
static inline bool weft__deque_empty(struct weft__deque *d)
{
	return weft__deque_size(d) == 0;
}

/*
 * Gives back the memory of the buffers' slots, if there is much of it, it has been used since the last
 * time, and the deque is empty. The buffers stay. Owner only.
 *
 * A thief may be about to read a slot meanwhile, and then finds a zero in it. It does not take that:
 * whoever emptied the deque has moved the front beyond that slot, so the thief's CAS fails.
 */
void weft__deque_shrink(struct weft__deque *d);

#endif
