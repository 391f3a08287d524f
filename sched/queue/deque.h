/* SPDX-License-Identifier: MIT */
/*
 * A work-stealing deque of pointers. Its owner pushes and pops at the bottom, last in first out.
 * Thieves take at the top, first in first out.
 *
 * The base is Chase and Lev, "Dynamic circular work-stealing deque" (SPAA 2005). The orderings are
 * those of Lê, Pop, Cohen and Zappa Nardelli, "Correct and efficient work-stealing for weak memory
 * models" (PPoPP 2013). There are five differences:
 *
 *  1. The two fences are the asymmetric pair of src/base/fence.h, so the owner pays nothing
 *     for thieves that do not come.
 *  2. bottom is stored with release. The original uses a release fence, which ThreadSanitizer would
 *     not see.
 *  3. The owner keeps the index at which its buffer was full when it last looked. So it reads top,
 *     which thieves write, only once in a round of the buffer.
 *  4. pop_if looks at the bottom slot before it touches anything that thieves see.
 *  5. Thieves claim before they take, and may claim many elements. So a batch costs one heavy
 *     fence. The owner's pop of the last element needs no locked instruction unless a thief is
 *     active.
 *
 * Which operations may run side by side:
 *
 * 	                          push  pops  steal  empty, size
 * 	push, pops                 X     X      -         -
 * 	steal, empty, size         -     -      -         -
 *
 * X: only by the owner, one at a time. -: at any time, side by side. A new thread may become the
 * owner if everything that the old owner did happens before.
 *
 * Invariants. The elements have the indices [top, bottom). Index i is in slot i & mask. `front`
 * holds top and, beside it, the claim: the number of elements from top on that thieves are about to
 * take. `front` changes only by a CAS:
 *
 * 	(t, 0) -> (t, n)      A thief claims. n >= 1.
 * 	(t, n) -> (t + k, 0)  A thief takes k of the elements, whichever thief claimed them.
 * 	                      1 <= k <= n.
 * 	(t, n) -> (t, k)      1 <= k < n. The owner takes element t + k and leaves those below it to
 * 	                      thieves. Or a thief has found nothing, and k is 1.
 * 	(t, n) -> (t + 1, 0)  The owner takes element t, as the last element or as the oldest.
 * 	                      In the second case n may be 0.
 *
 * A thief goes through four steps. It claims, unless there is a claim already. It fences. It reads
 * bottom. It takes elements that are below both bottom and the end of the claim.
 *
 * The owner lowers bottom, fences, and reads front. If its element is not below the end of the
 * claim, the owner takes it without a CAS.
 *
 * At least one of the two sees the other's store:
 *
 *  (a) The thief sees bottom lowered, and leaves the element.
 *  (b) The owner sees the claim. A claimed element changes hands only by a CAS of front, and the
 *      side whose CAS succeeds has the element.
 *
 * No ABA. While top stays at t, the claim goes from 0 to some n once. From then on it only goes
 * down, and never to 0. So a value with a claim never comes back once it is gone. While that value
 * is there, nobody has taken the claimed elements, except for pops that have not seen the claim.
 * The fence tells the thief about those pops. A value without a claim may stay through any number
 * of pushes and pops. But a thief reads again, after its claim, everything that it has read before
 * it.
 *
 * A claim on elements that were popped in the meantime stays, cut to 1, until the owner's next pop
 * of that element. Top has 52 bits. At ten million elements a second, stolen or popped in the
 * presence of a thief, it wraps around in seven years.
 *
 * A buffer that was outgrown is never written again. It stays until fini, because a thief may be
 * about to read it. All outgrown buffers together are smaller than the last one.
 *
 * Progress. push is wait-free unless it grows. A pop is retried only if a thief has taken or cut in
 * the meantime. steal fails at once if it loses a race, except to a side that cuts the claim. A
 * thief that is preempted after its claim stands in nobody's way: other thieves take what it
 * claimed.
 *
 * Rejected: a full fence in pop, which doubles the cost of a fork and its join. Rejected: Lace's
 * split deque. Thieves cannot take from its private part until a busy owner finds time to share it.
 * Rejected: a lock among thieves, for which the owner would have to wait. Rejected: a claim that is
 * taken back to 0, because of ABA. Rejected: taking ranges with top alone. The owner would need a
 * CAS for each of the last elements, and the few elements of a fork-join recursion are always among
 * these.
 */
#ifndef WEFT_SCHED_QUEUE_DEQUE_H
#define WEFT_SCHED_QUEUE_DEQUE_H

#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/fence.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct weft__deque_buffer {
	struct weft__deque_buffer *older; /* owner only: the buffer that this one replaced */
	int64_t mask;                     /* immutable */
	/* Atomic because a thief may read a slot while the owner overwrites it. The thief's CAS
	 * then fails. */
	_Atomic(void *) slots[];
};

struct weft__deque {
	/* Written by the owner, read by thieves. */
	alignas(WEFT__CACHE_LINE) _Atomic int64_t bottom;

	/* Owner only. */
	int64_t full;           /* the limit of bottom in this buffer: at most top + its capacity */
	int64_t mask;           /* of the current buffer */
	int64_t shrunk;         /* bottom when memory was last given back */
	_Atomic(void *) *slots; /* of the current buffer */

	/* Written by thieves, and by the owner for elements that thieves have claimed. All threads
	 * read it. The upper bits hold the claim's end, the lower bits its length. */
	alignas(WEFT__CACHE_LINE) _Atomic int64_t front;

	/* Written by the owner when it grows, read by thieves. */
	_Atomic(struct weft__deque_buffer *) buffer;
};

/* The most elements that can be claimed at once. */
#define WEFT__DEQUE_CLAIM_BITS 12
#define WEFT__DEQUE_CLAIM_MAX  ((1 << WEFT__DEQUE_CLAIM_BITS) - 1)

/* The claim's end. Below this index the owner takes nothing without a CAS. */
static inline int64_t weft__deque_limit_of(int64_t front)
{
	return front >> WEFT__DEQUE_CLAIM_BITS;
}

static inline int64_t weft__deque_top_of(int64_t front)
{
	return weft__deque_limit_of(front) - (front & WEFT__DEQUE_CLAIM_MAX);
}

/* Whether index is not below the limit. This is one comparison, for the owner's hot path. */
static inline bool weft__deque_is_unclaimed(int64_t front, int64_t index)
{
	return front < (index + 1) << WEFT__DEQUE_CLAIM_BITS;
}

/*
 * Makes an empty deque. The owner is the thread that may call the owner's operations. Calls
 * weft__fence_init().
 *
 * @capacity  elements before it grows for the first time; rounded up to a power of two, at least 2.
 *
 * Returns 0, or -ENOMEM if there is no memory or the capacity is too large.
 */
int weft__deque_init(struct weft__deque *d, size_t capacity);

/* Frees the buffers. No thread may use the deque afterwards. Elements that are still in it belong
 * to the caller. */
void weft__deque_fini(struct weft__deque *d);

/* Cold part of push, for a buffer that is full as far as the owner knows. */
bool weft__deque_push_full(struct weft__deque *d, void *element);

/* Cold part of the pops. bottom has just been lowered, and is below the limit of front. `element`
 * is number bottom. Returns it if the owner got it, and NULL otherwise. */
void *weft__deque_take_claimed(struct weft__deque *d, int64_t bottom, int64_t front, void *element);

/* Adds an element to a buffer that has room. Owner only. */
static inline void weft__deque_put(struct weft__deque *d, int64_t bottom, void *element)
{
	/* relaxed: the next line publishes it. */
	store_relaxed(&d->slots[bottom & d->mask], element);
	/* release: publishes the slot, its element's content and the buffer to the second load of
	 * bottom in weft__deque_steal(). */
	store_release(&d->bottom, bottom + 1);
}

/*
 * Adds an element at the bottom. Owner only.
 *
 * @element  not NULL. Everything before the push happens before its taking.
 *
 * Linearises at the store of bottom. Returns false if the deque was full and could not grow. It is
 * then unchanged.
 */
static inline bool weft__deque_push(struct weft__deque *d, void *element)
{
	/* relaxed: only the owner writes it */
	int64_t bottom = load_relaxed(&d->bottom);

	if (unlikely(bottom == d->full))
		return weft__deque_push_full(d, element);
	weft__deque_put(d, bottom, element);
	return true;
}

/*
 * Lowers bottom by one, to `bottom`, and then reads front. If front's limit is not above `bottom`,
 * the owner has taken element number bottom. Otherwise the caller needs weft__deque_take_claimed().
 * Owner only.
 *
 * @fence_is_free  weft__fence_light_is_free(), for a caller that knows it to be true.
 */
static inline int64_t weft__deque_lower(struct weft__deque *d, int64_t bottom, bool fence_is_free)
{
	/* release: as in push, because a thief may read its bottom from here. Earlier stores
	 * published the elements below it, and an acquire of this store must bring them along. */
	store_release(&d->bottom, bottom);

	/* Store-load race with weft__deque_steal(). We lower bottom, then read front. A thief
	 * claims in front, then reads bottom. Either we see that the thief is at this element, or
	 * the thief sees that the element is no longer there. */
	weft__fence_light_if(fence_is_free);

	/* relaxed: the fence decides which side wins, and the element came from this thread */
	return load_relaxed(&d->front);
}

/* Takes the newest element, or returns NULL if there is none. Owner only. */
static inline void *weft__deque_pop(struct weft__deque *d)
{
	/* relaxed: only the owner writes it. */
	int64_t bottom = load_relaxed(&d->bottom) - 1;

	/* relaxed: top only grows, so a deque that looks empty to its owner is empty */
	if (bottom < weft__deque_top_of(load_relaxed(&d->front)))
		return NULL;

	/* relaxed: the owner wrote it */
	void *element = load_relaxed(&d->slots[bottom & d->mask]);
	int64_t front = weft__deque_lower(d, bottom, false);

	if (likely(weft__deque_is_unclaimed(front, bottom)))
		return element;
	return weft__deque_take_claimed(d, bottom, front, element);
}

/*
 * Takes the newest element if it is `element`. Owner only. Returns false if it is not, or if it has
 * been stolen. Makes no store and no fence if another element is at the bottom. Executes no locked
 * instruction unless a thief is at this element.
 *
 * @fence_is_free  as for weft__deque_lower()
 */
static inline __attribute__((always_inline)) bool
weft__deque_pop_if_by(struct weft__deque *d, void *element, bool fence_is_free)
{
	/* relaxed: only the owner writes both. */
	int64_t bottom = load_relaxed(&d->bottom) - 1;

	/* The slot may hold an element that is no longer there, or NULL if it was never written.
	 * top tells whether the element was stolen: it is above the index then. */
	if (load_relaxed(&d->slots[bottom & d->mask]) != element)
		return false;

	int64_t front = weft__deque_lower(d, bottom, fence_is_free);

	if (likely(weft__deque_is_unclaimed(front, bottom)))
		return true;
	return weft__deque_take_claimed(d, bottom, front, element) != NULL;
}

static inline bool weft__deque_pop_if(struct weft__deque *d, void *element)
{
	return weft__deque_pop_if_by(d, element, false);
}

/*
 * Takes up to max elements, the oldest first. Returns their number. It returns 0 if there are none,
 * or if another thief or the owner got them first. So 0 does not mean empty: a thread that is about
 * to sleep asks weft__deque_empty(). Any thread. Linearises at its last CAS. Costs a heavy fence
 * unless the deque looks empty.
 *
 * @max  1 to WEFT__DEQUE_CLAIM_MAX
 */
unsigned weft__deque_steal(struct weft__deque *d, void **ret_elements, unsigned max);

/*
 * Takes the oldest element. Returns NULL if there is none or a thief was faster. Owner only.
 * Linearises at its CAS. The owner knows bottom, so there is no store-load race and no fence. It
 * only races with thieves, and the first to move top wins.
 */
void *weft__deque_pop_oldest(struct weft__deque *d);

/* About how many elements there were. A hint: exact if no other thread is using the deque. Any
 * thread. */
static inline size_t weft__deque_size(struct weft__deque *d)
{
	/* acquire: bottom is read after top. If bottom is then not above top, there was nothing to
	 * take at that moment, because top has not gone back since. */
	int64_t front = load_acquire(&d->front);
	/* relaxed: a hint */
	int64_t size = load_relaxed(&d->bottom) - weft__deque_top_of(front);

	return size > 0 ? (size_t)size : 0;
}

/*
 * Whether there was nothing to take. Any thread. A hint, with one exception. Suppose the caller
 * made a store and then a weft__fence_heavy(). If a push was followed by a weft__fence_light() that
 * did not notice the store, this call sees the pushed element, if it is still there.
 */
static inline bool weft__deque_empty(struct weft__deque *d)
{
	return weft__deque_size(d) == 0;
}

/*
 * Gives back the memory of the buffers' slots. It does so only if that is much memory, it has been
 * used since the last time, and the deque is empty. The buffers stay. Owner only.
 *
 * A thief may be about to read a slot, and then finds a zero in it. The thief does not take the
 * zero. The thread that emptied the deque has moved the front beyond that slot, so the thief's CAS
 * fails.
 */
void weft__deque_shrink(struct weft__deque *d);

#endif
