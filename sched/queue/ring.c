/* SPDX-License-Identifier: MIT */
/*
 * The ready ring's setup and the thieves' side. See ring.h.
 */
#include "sched/queue/ring.h"

#include <errno.h>
#include <stdlib.h>

int weft__ring_init(struct weft__ring *r, unsigned capacity)
{
	if (capacity < 2 || (capacity & (capacity - 1)) != 0)
		return -EINVAL;

	r->slots = calloc(capacity, sizeof(r->slots[0]));
	if (!r->slots)
		return -ENOMEM;

	atomic_init(&r->tail, 0);
	atomic_init(&r->head, 0);
	r->full = capacity;
	r->mask = capacity - 1;
	return 0;
}

void weft__ring_fini(struct weft__ring *r)
{
	free(r->slots);
	r->slots = NULL;
}

unsigned weft__ring_steal(struct weft__ring *r, void **out, unsigned max)
{
	for (;;) {
		/* acquire: tail is read after head, and so is not below it. */
		uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
		/* acquire: pairs with weft__ring_push(); sees the slots and what they point to. */
		uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
		uint64_t size = tail - head;
		uint64_t n = size - size / 2;

		if (n > max)
			n = max;
		if (n == 0)
			return 0;
		/* More than there is room for: others have moved both since head was read. The CAS
		 * would fail. */
		if (size > r->mask + 1)
			continue;

		/* relaxed: published by tail. Before the CAS: see the top of ring.h. */
		for (uint64_t i = 0; i < n; i++)
			out[i] = atomic_load_explicit(&r->slots[(head + i) & r->mask],
						      memory_order_relaxed);

		/* release: keeps the reads of the slots before it; pairs with the owner's acquire
		 * in weft__ring_push(), which goes on to overwrite them. relaxed on failure: head
		 * is read again. */
		if (atomic_compare_exchange_strong_explicit(
			    &r->head, &head, head + n, memory_order_release, memory_order_relaxed))
			return (unsigned)n;
	}
}
