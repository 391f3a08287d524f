/* SPDX-License-Identifier: MIT */
/*
 * The deque's cold parts and the thieves' side. See deque.h.
 */
#include "sched/queue/deque.h"
#include "src/base/alloc.h"

#include "src/base/atomic.h"
#include "src/base/pages.h"

#include <errno.h>
#include <stdlib.h>

/* Beyond this, an index times the size of a pointer could overflow. No machine has the memory. */
#define CAPACITY_MAX (INT64_C(1) << 40)

/* The number of slots that counts as much memory. */
#define SHRINK_SLOTS 8192

static struct weft__deque_buffer *new_buffer(int64_t capacity)
{
	/* Zeroed, because pop_if may look at a slot that was never written. */
	struct weft__deque_buffer *buffer =
		weft__calloc(1, sizeof(*buffer) + (size_t)capacity * sizeof(buffer->slots[0]));

	if (buffer)
		buffer->mask = capacity - 1;
	return buffer;
}

int weft__deque_init(struct weft__deque *d, size_t capacity)
{
	int64_t rounded = 2;

	if (capacity > (size_t)CAPACITY_MAX)
		return -ENOMEM;
	while ((size_t)rounded < capacity)
		rounded *= 2;

	struct weft__deque_buffer *buffer = new_buffer(rounded);

	if (!buffer)
		return -ENOMEM;

	weft__fence_init();
	atomic_init(&d->bottom, 0);
	atomic_init(&d->front, 0);
	atomic_init(&d->buffer, buffer);
	d->full = rounded;
	d->shrunk = 0;
	d->mask = buffer->mask;
	d->slots = buffer->slots;
	return 0;
}

void weft__deque_fini(struct weft__deque *d)
{
	/* relaxed: the caller is ordered after all other uses */
	struct weft__deque_buffer *buffer = load_relaxed(&d->buffer);

	while (buffer) {
		struct weft__deque_buffer *older = buffer->older;

		free(buffer);
		buffer = older;
	}
}

/* Moves to a buffer of twice the size, which then holds the elements in [top, bottom). */
static bool grow(struct weft__deque *d, int64_t top, int64_t bottom)
{
	int64_t capacity = (d->mask + 1) * 2;
	struct weft__deque_buffer *buffer = capacity <= CAPACITY_MAX ? new_buffer(capacity) : NULL;

	if (!buffer)
		return false;

	/* Thieves may take some of the elements meanwhile. The copies are then outside of [top,
	 * bottom), like any stale slot. relaxed: the owner wrote what it reads here. The store of
	 * buffer publishes what it writes. */
	for (int64_t i = top; i < bottom; i++)
		store_relaxed(&buffer->slots[i & buffer->mask],
			      load_relaxed(&d->slots[i & d->mask]));

	/* relaxed: only the owner writes it */
	buffer->older = load_relaxed(&d->buffer);
	/* release: publishes mask and slots to the load of buffer in read_elements(). A thief that
	 * still finds the older buffer finds the same element there, because nobody writes to that
	 * buffer any more. */
	store_release(&d->buffer, buffer);

	d->full = top + capacity;
	d->mask = buffer->mask;
	d->slots = buffer->slots;
	return true;
}

bool weft__deque_push_full(struct weft__deque *d, void *element)
{
	/* relaxed: only the owner writes it */
	int64_t bottom = load_relaxed(&d->bottom);
	/* acquire: pairs with the CAS in weft__deque_steal(). A thief's read of a slot comes before
	 * our reuse of the slot. Otherwise the thief could see the new element in it although its
	 * CAS takes the old one. */
	int64_t top = weft__deque_top_of(load_acquire(&d->front));

	d->full = top + d->mask + 1;
	if (bottom == d->full && !grow(d, top, bottom))
		return false;
	weft__deque_put(d, bottom, element);
	return true;
}

/* The value of front with this top and this number of claimed elements. */
static int64_t make_front(int64_t top, int64_t claimed)
{
	return (top + claimed) << WEFT__DEQUE_CLAIM_BITS | claimed;
}

void *weft__deque_take_claimed(struct weft__deque *d, int64_t bottom, int64_t front, void *element)
{
	for (;;) {
		int64_t top = weft__deque_top_of(front);
		if (bottom < top) {
			element = NULL; /* it is gone */
			break;
		}
		if (weft__deque_is_unclaimed(front, bottom))
			return element;
		/* If it is the last element, top moves and thieves lose it. Otherwise the claim is
		 * cut. relaxed: the element came from this thread, and thieves take only the
		 * numbers from this CAS. The fences make them see bottom lowered. */
		int64_t next =
			bottom == top ? make_front(top + 1, 0) : make_front(top, bottom - top);
		if (!cas_relaxed(&d->front, &front, next))
			continue;
		if (bottom > top)
			return element;
		break;
	}
	/* The deque is empty now either way: top and bottom meet at the index above. release: see
	 * weft__deque_lower(). */
	store_release(&d->bottom, bottom + 1);
	return element;
}

/* Reads up to `most` elements from top on. The caller may take them if a CAS finds front unchanged.
 * Returns their number. */
static int64_t read_elements(struct weft__deque *d, int64_t top, int64_t bottom, int64_t most,
			     void **ret_elements)
{
	int64_t count = bottom - top < most ? bottom - top : most;
	/* acquire: pairs with grow(); sees mask and slots. */
	struct weft__deque_buffer *buffer = load_acquire(&d->buffer);

	/* relaxed: bottom or buffer published them. We read before the CAS, because after it the
	 * owner may reuse the slots. If the CAS succeeds, the values are right: the owner reuses a
	 * slot only after it has seen top beyond that slot. */
	for (int64_t i = 0; i < count; i++)
		ret_elements[i] = load_relaxed(&buffer->slots[(top + i) & buffer->mask]);
	return count > 0 ? count : 0;
}

unsigned weft__deque_steal(struct weft__deque *d, void **ret_elements, unsigned max)
{
	/* acquire: the hint is read after it. So a deque that looks empty was empty at that
	 * moment. */
	int64_t front = load_acquire(&d->front);
	int64_t top = weft__deque_top_of(front);
	/* relaxed: a hint, which spares the owner our fence */
	int64_t size = load_relaxed(&d->bottom) - top;

	if (size <= 0)
		return 0;
	if (weft__deque_limit_of(front) == top) {
		int64_t claim = make_front(top, size < max ? size : max);
		/* relaxed: publishes nothing. The fence makes the owner see it. */
		if (!cas_relaxed(&d->front, &front, claim))
			return 0;
		front = claim;
	}

	/* Store-load race with weft__deque_lower(). It lowers bottom, then reads front. We have
	 * claimed, or have seen another thief's claim, then read bottom. The heavy side is ours,
	 * because thieves are rare. */
	weft__fence_heavy();

	/* acquire: pairs with the owner's stores of bottom. It sees the slots, their elements'
	 * content, and a buffer that has them. */
	int64_t bottom = load_acquire(&d->bottom);

	do {
		int64_t claimed = weft__deque_limit_of(front) - top;
		int64_t count =
			read_elements(d, top, bottom, claimed < max ? claimed : max, ret_elements);
		if (count == 0) {
			/* The claim covers nothing. We cut it, so the owner is soon rid of it.
			 * relaxed: as above. */
			cas_relaxed(&d->front, &front, make_front(top, 1));
			return 0;
		}
		/* release: keeps the reads of the slots before it. Pairs with the owner's acquire
		 * in weft__deque_push_full(). relaxed on failure: nothing was taken. */
		if (cas_release(&d->front, &front, make_front(top + count, 0)))
			return (unsigned)count;
		/* If another side cut the claim, the elements below the cut are left. */
	} while (weft__deque_top_of(front) == top);
	return 0;
}

void *weft__deque_pop_oldest(struct weft__deque *d)
{
	/* relaxed: only the owner writes it */
	int64_t bottom = load_relaxed(&d->bottom);
	/* relaxed: the elements came from this thread, and the CAS decides */
	int64_t front = load_relaxed(&d->front);
	int64_t top = weft__deque_top_of(front);

	if (top >= bottom)
		return NULL;
	void *element = load_relaxed(&d->slots[top & d->mask]);
	/* relaxed: as in weft__deque_take_claimed(). A thief finds that top has moved. */
	if (!cas_relaxed(&d->front, &front, make_front(top + 1, 0)))
		return NULL;
	return element;
}

void weft__deque_shrink(struct weft__deque *d)
{
	/* relaxed: only the owner writes it */
	int64_t bottom = load_relaxed(&d->bottom);

	if (d->mask < SHRINK_SLOTS || bottom - d->shrunk < SHRINK_SLOTS || weft__deque_size(d) > 0)
		return;
	d->shrunk = bottom;
	/* relaxed: only the owner writes it */
	struct weft__deque_buffer *buffer = load_relaxed(&d->buffer);
	for (; buffer; buffer = buffer->older)
		weft__pages_discard(buffer->slots,
				    ((size_t)buffer->mask + 1) * sizeof(buffer->slots[0]));
}
