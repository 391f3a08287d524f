/* SPDX-License-Identifier: MIT */
/*
 * The ready ring's cold parts and the thieves' side. See ring.h.
 */
#include "sched/queue/ring.h"

#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/pages.h"
#include "src/base/pause.h"

#include <errno.h>
#include <stdlib.h>

/* So many pops by CAS cost about as much as the next thief's fence and its interrupts. */
#define CALM 512

/* How often a thief looks for the end of a pop. The last looks let the owner's thread run
 * (pause.c). */
#define LOOKS 24

/* The number of slots that counts as much memory. */
#define SHRINK_SLOTS 4096

static uint64_t make_head(uint64_t index, enum weft__ring_state state)
{
	return index << 2 | state;
}

static struct weft__ring_buffer *new_buffer(uint64_t capacity)
{
	struct weft__ring_buffer *buffer =
		weft__calloc(1, sizeof(*buffer) + (size_t)capacity * sizeof(buffer->slots[0]));

	if (buffer)
		buffer->mask = capacity - 1;
	return buffer;
}

int weft__ring_init(struct weft__ring *r, unsigned capacity, unsigned most)
{
	if (capacity < 2 || (capacity & (capacity - 1)) != 0 || most < capacity ||
	    (most & (most - 1)) != 0)
		return -EINVAL;

	struct weft__ring_buffer *buffer = new_buffer(capacity);

	if (!buffer)
		return -ENOMEM;

	weft__fence_init();
	atomic_init(&r->tail, 0);
	atomic_init(&r->mine, 0);
	r->shrunk = 0;
	atomic_init(&r->head, make_head(0, WEFT__RING_OWNED));
	atomic_init(&r->buffer, buffer);
	r->full = capacity;
	r->mask = buffer->mask;
	r->slots = buffer->slots;
	r->most = most;
	r->calm = 0;
	return 0;
}

void weft__ring_fini(struct weft__ring *r)
{
	/* relaxed: the caller is ordered after all other uses */
	struct weft__ring_buffer *buffer = load_relaxed(&r->buffer);

	while (buffer) {
		struct weft__ring_buffer *older = buffer->older;

		free(buffer);
		buffer = older;
	}
}

static void copy_slot(struct weft__ring_slot *to, struct weft__ring_slot *from)
{
	/* relaxed, all: the owner wrote what it reads here. The store of buffer publishes what it
	 * writes. */
	store_relaxed(&to->element, load_relaxed(&from->element));
	store_relaxed(&to->hint, load_relaxed(&from->hint));
}

/* Moves to a buffer of twice the size, which then holds the elements in [head, tail). */
static bool grow(struct weft__ring *r, uint64_t head, uint64_t tail)
{
	uint64_t capacity = (r->mask + 1) * 2;
	struct weft__ring_buffer *buffer = capacity <= r->most ? new_buffer(capacity) : NULL;

	if (!buffer)
		return false;

	/* Thieves may take some of the elements meanwhile. The copies are then below the head, like
	 * any stale slot. */
	for (uint64_t i = head; i < tail; i++)
		copy_slot(&buffer->slots[i & buffer->mask], &r->slots[i & r->mask]);

	/* relaxed: only the owner writes it */
	buffer->older = load_relaxed(&r->buffer);
	/* release: publishes mask and slots to the load of buffer in weft__ring_steal(). A thief
	 * that still finds the older buffer finds the same element there, because nobody writes to
	 * that buffer any more. */
	store_release(&r->buffer, buffer);

	r->full = head + capacity;
	r->mask = buffer->mask;
	r->slots = buffer->slots;
	return true;
}

bool weft__ring_push_full(struct weft__ring *r, void *element, uintptr_t hint)
{
	/* relaxed, both: only the owner writes them */
	uint64_t tail = load_relaxed(&r->tail);
	uint64_t mine = load_relaxed(&r->mine) >> 1;
	/* acquire: pairs with the CAS in weft__ring_steal(). Thieves read a slot before we reuse
	 * it. */
	uint64_t head = weft__ring_index(load_acquire(&r->head));

	if (head < mine)
		head = mine;
	r->full = head + r->mask + 1;
	if (tail == r->full && !grow(r, head, tail))
		return false;
	weft__ring_put(r, tail, element, hint);
	return true;
}

void *weft__ring_pop_shared(struct weft__ring *r)
{
	/* relaxed, all: the owner wrote tail, mine and the slots itself. Only the value of head
	 * matters. */
	uint64_t tail = load_relaxed(&r->tail);
	uint64_t mine = load_relaxed(&r->mine) >> 1;
	uint64_t head = load_relaxed(&r->head);
	void *element = NULL;
	uint64_t index;

	for (;;) {
		index = weft__ring_index(head);
		if ((head & WEFT__RING_STATE) == WEFT__RING_ASKED) {
			/* release: publishes tail to the load in weft__ring_steal(). If this fails,
			 * a thief has done the same. */
			if (cas_release(&r->head, &head, make_head(mine, WEFT__RING_SHARED)))
				head = make_head(mine, WEFT__RING_SHARED);
			continue;
		}
		if (index != mine)
			r->calm = 0;
		if (index == tail)
			break;
		/* relaxed: the owner wrote it */
		element = load_relaxed(&r->slots[index & r->mask].element);
		/* release: publishes tail to the load in weft__ring_steal(). A failure means that a
		 * thief took something. It reloads head. */
		if (cas_weak_release(&r->head, &head, make_head(index + 1, WEFT__RING_SHARED))) {
			index++;
			break;
		}
		element = NULL;
	}
	/* release: publishes tail to a thread that reads it after mine */
	store_release(&r->mine, index << 1);

	if (element && ++r->calm >= CALM) {
		r->calm = 0;
		head = make_head(index, WEFT__RING_SHARED);
		/* release: publishes mine to a thief, which sees by head that mine counts. If this
		 * fails, a thief has just taken something. */
		cas_release(&r->head, &head, make_head(index, WEFT__RING_OWNED));
	}
	return element;
}

/* Asks the owner to share; head has the given value. Returns false if the owner was just taking
 * something. */
static bool share(struct weft__ring *r, uint64_t head)
{
	uint64_t asked = make_head(weft__ring_index(head), WEFT__RING_ASKED);

	/* relaxed, both: publishes nothing. The fence makes the owner see it. If this fails, the
	 * caller looks again. */
	if (head != asked && !cas_relaxed(&r->head, &head, asked))
		return true;

	/* Store-load race with weft__ring_pop(). It stores that it is taking, then reads the state.
	 * We have asked, or have seen that another thief has, then read mine. The heavy side is
	 * ours, because thieves are rare. */
	weft__fence_heavy();

	/* acquire: tail is read after it, and so is not below it */
	uint64_t mine = load_acquire(&r->mine);
	/* The current pop is over at once, unless its thread has been preempted. No other fence is
	 * needed. After the fence above, the owner takes everything by CAS, so the next value of
	 * mine is final. */
	for (unsigned looks = 0; mine & 1; looks++) {
		/* relaxed: only its value matters, and the caller looks again */
		if (load_relaxed(&r->head) != asked)
			return true;
		if (looks == LOOKS)
			return false;
		weft__pause(looks);
		mine = load_acquire(&r->mine);
	}
	/* release: passes on what we acquired with mine. relaxed on failure: another side has done
	 * it. */
	cas_release(&r->head, &asked, make_head(mine >> 1, WEFT__RING_SHARED));
	return true;
}

unsigned weft__ring_steal(struct weft__ring *r, void **out, uintptr_t *ret_hints, unsigned max)
{
	for (;;) {
		/* acquire: tail is read after head, and so is not below it */
		uint64_t head = load_acquire(&r->head);
		if ((head & WEFT__RING_STATE) != WEFT__RING_SHARED) {
			if (max == 0 || weft__ring_empty(r) || !share(r, head))
				return 0;
			continue;
		}
		uint64_t index = weft__ring_index(head);
		/* acquire: pairs with weft__ring_put(). It sees the slots, their elements' content,
		 * and a buffer that has them. */
		uint64_t size = load_acquire(&r->tail) - index;
		uint64_t n = size - size / 2;

		if (n > max)
			n = max;
		if (n == 0)
			return 0;
		/* acquire: pairs with grow(). It sees mask and slots. */
		struct weft__ring_buffer *buffer = load_acquire(&r->buffer);

		/* relaxed: tail or buffer published them. Why before the CAS: see the top of
		 * ring.h. */
		for (uint64_t i = 0; i < n; i++) {
			struct weft__ring_slot *slot = &buffer->slots[(index + i) & buffer->mask];

			out[i] = load_relaxed(&slot->element);
			if (ret_hints)
				ret_hints[i] = load_relaxed(&slot->hint);
		}

		/* release: keeps the reads of the slots before it. Pairs with the owner's acquire
		 * in weft__ring_push_full(), which goes on to overwrite them. relaxed on failure:
		 * head is read again. */
		if (cas_release(&r->head, &head, make_head(index + n, WEFT__RING_SHARED)))
			return (unsigned)n;
	}
}

void weft__ring_shrink(struct weft__ring *r)
{
	/* relaxed: only the owner writes it */
	uint64_t tail = load_relaxed(&r->tail);

	if (r->mask < SHRINK_SLOTS || tail - r->shrunk < SHRINK_SLOTS || weft__ring_size(r) > 0)
		return;
	r->shrunk = tail;
	/* relaxed: only the owner writes it */
	struct weft__ring_buffer *buffer = load_relaxed(&r->buffer);
	for (; buffer; buffer = buffer->older)
		weft__pages_discard(buffer->slots,
				    ((size_t)buffer->mask + 1) * sizeof(buffer->slots[0]));
}
