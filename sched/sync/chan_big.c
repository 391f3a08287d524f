/* SPDX-License-Identifier: MIT */
/*
 * Channels of big elements. Such elements are not copied under the lock, because others would spin
 * meanwhile, for milliseconds if an element has megabytes. A step takes a slot under the lock,
 * copies without the lock, and hands the slot on under the lock.
 *
 *              send takes it             send is done
 *   FREE  ---------------->  FILLING  ----------------->  READY
 *     ^                                                     |
 *     |   receive is done                receive takes it   |
 *     +--------------------  DRAINING  <--------------------+
 *
 * A slot that is FILLING or DRAINING belongs to its step alone and is in no list. So elements are
 * in the order in which their sends were done, not in which they began. Faster sends pass a slow
 * one, and a ready element never hides behind one that is still being copied. The elements of one
 * sender stay in order, since its sends follow each other.
 *
 * While an element is being copied, nobody can receive it and its slot can take no other element. A
 * caller that needs either waits in the queue. When the copy is done, the caller that copied serves
 * the first waiter in line. It claims that waiter, hands it the slot (chan_node.slot) and wakes it,
 * and the waiter does its own copy. So nobody copies for others again and again.
 *
 * Invariants, under the lock. They replace invariant 1 of chan.h.
 *  1. While a slot is FREE, no sender waits. While a slot is READY, no receiver waits.
 *  2. .count is the number of slots that are not FREE. .ready is the number of READY slots.
 *  3. A send is done when its slot becomes READY or goes to a receiver. If the channel was closed
 *     before that, the send fails with -EPIPE. So a closed channel without a READY slot stays
 *     empty.
 *
 * If a partner waits, the element goes from frame to frame without a slot, as in other channels.
 * Without a buffer that is the only way, and nothing in this file is needed.
 */
#include "chan_parts.h"
#include "src/base/atomic.h"

#include <stdalign.h>

/* Where the lists begin: behind the slots, aligned. */
static inline size_t after_slots(size_t slots_size)
{
	const size_t align = alignof(struct chan_big);

	return (slots_size + align - 1) / align * align;
}

bool weft__chan_big_size(size_t elem_size, size_t capacity, size_t *ret_size)
{
	size_t each, all;

	if (__builtin_add_overflow(elem_size, sizeof(size_t), &each) ||
	    __builtin_mul_overflow(each, capacity, &all) ||
	    __builtin_add_overflow(all, sizeof(struct chan_big) + alignof(struct chan_big), &all))
		return false;
	*ret_size = all;
	return true;
}

void weft__chan_big_init(weft_chan *ch)
{
	struct chan_big *big =
		(struct chan_big *)(ch->slots + after_slots(ch->elem_size * ch->capacity));

	/* relaxed: the caller publishes the channel. */
	store_relaxed(&big->ready, 0);
	big->ready_first = CHAN_NO_SLOT;
	big->free_first = 0;
	for (size_t slot = 0; slot < ch->capacity; slot++)
		big->links[slot] = slot + 1 < ch->capacity ? slot + 1 : CHAN_NO_SLOT;
	ch->order.slots = big;
}

static inline size_t list_pop(weft_chan *ch, size_t *first)
{
	size_t slot = *first;

	if (slot != CHAN_NO_SLOT)
		*first = ch->order.slots->links[slot];
	return slot;
}

/* Adds n to the number of READY slots. */
static inline void add_ready(weft_chan *ch, size_t n)
{
	_Atomic size_t *ready = &ch->order.slots->ready;

	/* release: as in chan_set_count(). */
	store_release(ready, load_relaxed(ready) + n);
}

static void free_slot_locked(weft_chan *ch, size_t slot)
{
	struct chan_big *big = ch->order.slots;

	big->links[slot] = big->free_first;
	big->free_first = slot;
	chan_set_count(ch, chan_count(ch) - 1);
}

static void ready_slot_locked(weft_chan *ch, size_t slot)
{
	struct chan_big *big = ch->order.slots;

	big->links[slot] = CHAN_NO_SLOT;
	if (big->ready_first == CHAN_NO_SLOT)
		big->ready_first = slot;
	else
		big->links[big->ready_last] = slot;
	big->ready_last = slot;
	add_ready(ch, 1);
}

/* A step between two frames. */
static bool found_peer(weft_chan *ch, struct chan_step *step)
{
	step->direct = true;
	step->size = ch->elem_size;
	edges_meet(&step->peer->edges);
	return true;
}

static bool send_locked(weft_chan *ch, struct chan_step *step)
{
	if (chan_closed(ch))
		return found_closed(ch, step);
	step->peer = claim_first(&ch->receivers, 0);
	if (step->peer)
		return found_peer(ch, step);
	step->slot = list_pop(ch, &ch->order.slots->free_first);
	if (step->slot == CHAN_NO_SLOT)
		return false;
	chan_set_count(ch, chan_count(ch) + 1);
	step->copies_in = ch;
	return true;
}

static bool recv_locked(weft_chan *ch, struct chan_step *step)
{
	step->slot = list_pop(ch, &ch->order.slots->ready_first);
	if (step->slot != CHAN_NO_SLOT) {
		add_ready(ch, (size_t)-1);
		step->copies_in = ch;
		return true;
	}
	step->peer = claim_first(&ch->senders, 0);
	if (step->peer)
		return found_peer(ch, step);
	return chan_closed(ch) && found_closed(ch, step);
}

bool weft__chan_big_step_locked(weft_chan *ch, enum weft_op op, struct chan_step *step)
{
	return op == WEFT_SEND ? send_locked(ch, step) : recv_locked(ch, step);
}

/* The caller has filled the slot. Returns 0 or -EPIPE. */
static int filled(weft_chan *ch, size_t slot)
{
	struct chan_node *peer = NULL;
	struct chan_step step;

	step_begin(&step);
	chan_lock(ch);
	if (chan_closed(ch)) {
		found_closed(ch, &step);
		free_slot_locked(ch, slot); /* nobody waits in a closed channel */
	} else {
		edges_send(ch->edges, slot);
		peer = claim_first(&ch->receivers, 0);
		if (peer)
			peer->slot = slot;
		else
			ready_slot_locked(ch, slot);
	}
	chan_unlock(ch);
	if (peer)
		weft__wait_wake(weft__wakeup_of(&peer->wait->waiter));
	return step.status;
}

/* The caller has copied the slot's element out. */
static void drained(weft_chan *ch, size_t slot)
{
	struct chan_node *peer;

	chan_lock(ch);
	edges_recv(ch->edges, slot);
	peer = claim_first(&ch->senders, 0);
	if (peer)
		peer->slot = slot;
	else
		free_slot_locked(ch, slot);
	chan_unlock(ch);
	if (peer)
		weft__wait_wake(weft__wakeup_of(&peer->wait->waiter));
}

int weft__chan_big_copy(weft_chan *ch, enum weft_op op, size_t slot, void *elem)
{
	if (op == WEFT_SEND) {
		copy(slot_at(ch, slot), elem, ch->elem_size);
		return filled(ch, slot);
	}
	copy(elem, slot_at(ch, slot), ch->elem_size);
	drained(ch, slot);
	return 0;
}

int weft__chan_big_do(weft_chan *ch, enum weft_op op, void *elem, int64_t deadline)
{
	struct chan_step step;
	struct chan_wait wait;
	struct chan_node node = {.wait = &wait, .elem = elem, .slot = CHAN_NO_SLOT};

	step_begin(&step);
	step.copies_in = NULL;
	chan_lock(ch);
	if (weft__chan_big_step_locked(ch, op, &step)) {
		chan_unlock(ch);
		if (step.copies_in)
			return weft__chan_big_copy(ch, op, step.slot, elem);
		weft__chan_finish(&step, op, elem);
		return step.status;
	}
	if (deadline <= 0) {
		chan_unlock(ch);
		return -ETIMEDOUT;
	}
	enum wait_outcome outcome = chan_wait_locked(ch, op, &node, deadline);
	if (outcome != WAIT_WOKEN)
		return wait_errno(outcome);
	/* If no slot was handed over, the channel may be gone. */
	return node.slot == CHAN_NO_SLOT ? node.status
					 : weft__chan_big_copy(ch, op, node.slot, elem);
}
