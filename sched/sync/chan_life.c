/* SPDX-License-Identifier: MIT */
/*
 * The life of a channel: its memory, its first state, its references and its end. The memory
 * belongs to the library or to the caller. The caller that gives up the last reference ends the
 * channel, and is told so, because the memory may be its own.
 */
#include "chan_parts.h"

#include "sched/core/patience.h"
#include "self.h"
#include "src/base/alloc.h"
#include "src/base/atomic.h"

#include <stdalign.h>
#include <stdlib.h>

/* Computes the number of bytes that a channel takes. Returns false if that overflows. */
static bool chan_size(size_t elem_size, size_t capacity, size_t *ret_size)
{
	bool big = elem_size > CHAN_BIG && capacity > 0;

	return (big ? weft__chan_big_size(elem_size, capacity, ret_size)
		    : !__builtin_mul_overflow(elem_size, capacity, ret_size)) &&
	       !__builtin_add_overflow(*ret_size, sizeof(weft_chan), ret_size);
}

/* Returns 0, or -ENOMEM, which only happens in builds with ThreadSanitizer. */
static int init(weft_chan *ch, size_t elem_size, size_t capacity, bool lent)
{
	memset(ch, 0, sizeof *ch);
	ch->elem_size = elem_size;
	ch->capacity = capacity;
	ch->big = elem_size > CHAN_BIG && capacity > 0;
	ch->lent = lent;
	ch->plain = ch->big ? 0 : WEFT__PATIENCE;
	if (ch->big)
		weft__chan_big_init(ch);
	/* relaxed: the caller publishes the channel. */
	store_relaxed(&ch->references, 1);
	ch->edges = slot_edges_new(capacity);
	return SAN_EDGES && !ch->edges ? -ENOMEM : 0;
}

int weft_chan_create(size_t elem_size, size_t capacity, weft_chan **ret_chan)
{
	size_t size;

	if (!ret_chan)
		return -EINVAL;
	if (!chan_size(elem_size, capacity, &size) || __builtin_add_overflow(size, 63, &size))
		return -ENOMEM;
	/* A cache line of its own, so that writers of other objects do not take it away. */
	weft_chan *ch = weft__aligned_alloc(64, size & ~(size_t)63);
	if (!ch)
		return -ENOMEM;
	int rc = init(ch, elem_size, capacity, false);
	if (rc < 0) {
		free(ch);
		return rc;
	}
	*ret_chan = ch;
	return 0;
}

size_t weft_chan_memory_size(size_t elem_size, size_t capacity)
{
	size_t size;

	return chan_size(elem_size, capacity, &size) ? size : 0;
}

int weft_chan_create_in(void *memory, size_t memory_size, size_t elem_size, size_t capacity,
			weft_chan **ret_chan)
{
	size_t size;

	if (!ret_chan || !memory || (uintptr_t)memory % alignof(max_align_t) != 0 ||
	    !chan_size(elem_size, capacity, &size) || memory_size < size)
		return -EINVAL;
	int rc = init(memory, elem_size, capacity, true);
	if (rc < 0)
		return rc;
	*ret_chan = memory;
	return 0;
}

static void destroy(weft_chan *ch, const char *call)
{
	chan_lock(ch);
	if (queue_first(&ch->senders) || queue_first(&ch->receivers))
		weft__sync_misuse(call, "channel", ch, "still has waiters");
	chan_bury(ch);
	slot_edges_free(ch->edges, ch->capacity);
	if (ch->lent) {
		san_forget(ch, sizeof *ch);
		return;
	}
	san_ignore_begin();
	free(ch);
	san_ignore_end();
}

void weft_chan_destroy(weft_chan *ch)
{
	if (!ch)
		return;
	/* relaxed: the caller's reference is the only one, or this is a mistake. */
	if (load_relaxed(&ch->references) != 1)
		weft__sync_misuse("weft_chan_destroy", "channel", ch, "has other references");
	destroy(ch, "weft_chan_destroy");
}

void weft_chan_ref(weft_chan *ch)
{
	/* relaxed: the caller has a reference, and hands the new one on by other means. */
	if (ch)
		fetch_add_relaxed(&ch->references, 1);
}

bool weft_chan_unref(weft_chan *ch)
{
	if (!ch)
		return false;
	san_release(&ch->references);
	/* acq_rel: whatever was done by callers that gave up their references comes before the last
	 * one frees the memory. */
	if (fetch_sub_acq_rel(&ch->references, 1) != 1)
		return false;
	san_acquire(&ch->references);
	san_forget(&ch->references, sizeof(ch->references));
	destroy(ch, "weft_chan_unref");
	return true;
}
