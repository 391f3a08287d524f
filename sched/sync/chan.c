/* SPDX-License-Identifier: MIT */
/*
 * Channels: sending, receiving and closing.
 *
 * The design is Go's: a ring of slots and two queues of waiters under one short lock. A send to a
 * waiting receiver copies straight into the receiver's frame, without the ring. The waker's worker
 * runs the receiver next.
 *
 * Rejected: lock-free rings (Vyukov's bounded queue, LCRQ and similar ones).
 *  - Their uncontended step costs one compare-and-swap and one store, as the lock does.
 *  - They need a second protocol for callers that wait, with its own store-load races, and another
 *    one for closing.
 *  - A select over them cannot take back half a step.
 *  - The scheduler keeps tasks that talk to each other on one worker, so the lock is mostly free.
 *
 * An element that goes from frame to frame is copied after the unlock. The claimed waiter does not
 * return before its wake, which comes last. Big elements that go through a buffer are copied
 * without the lock as well: see chan_big.c.
 */
#include "chan_parts.h"
#include "src/base/compiler.h"

#include "sched/core/patience.h"
#include "src/base/atomic.h"

static inline size_t slot_after(const weft_chan *ch, size_t slot)
{
	return slot + 1 == ch->capacity ? 0 : slot + 1;
}

/* A step between two frames. The element goes directly, or as if through an empty buffer. */
static inline bool found_peer(weft_chan *ch, struct chan_step *step)
{
	step->direct = true;
	step->size = ch->elem_size;
	if (ch->capacity == 0) {
		edges_meet(&step->peer->edges);
	} else {
		/* The peer is a receiver: no sender waits while the buffer is empty. */
		edges_send_to(ch->edges, ch->order.first, &step->peer->edges);
		ch->order.first = slot_after(ch, ch->order.first);
	}
	return true;
}

/* The slot for the next element. The buffer has room and holds `count` elements. */
static inline size_t slot_to_fill(const weft_chan *ch, size_t count)
{
	size_t slot = ch->order.first + count;

	return slot >= ch->capacity ? slot - ch->capacity : slot;
}

static inline bool send_locked(weft_chan *ch, const void *elem, struct chan_step *step)
{
	if (chan_closed(ch))
		return found_closed(ch, step);
	step->peer = claim_first(&ch->receivers, 0);
	if (step->peer)
		return found_peer(ch, step);
	size_t count = chan_count(ch);
	if (count == ch->capacity)
		return false;
	size_t slot = slot_to_fill(ch, count);
	copy(slot_at(ch, slot), elem, ch->elem_size);
	edges_send(ch->edges, slot);
	chan_set_count(ch, count + 1);
	return true;
}

static inline __attribute__((always_inline)) bool recv_locked(weft_chan *ch, void *elem,
							      struct chan_step *step)
{
	size_t count = chan_count(ch);

	if (count == 0) {
		step->peer = claim_first(&ch->senders, 0);
		if (step->peer)
			return found_peer(ch, step);
		return chan_closed(ch) && found_closed(ch, step);
	}
	size_t slot = ch->order.first;
	copy(elem, slot_at(ch, slot), ch->elem_size);
	ch->order.first = slot_after(ch, slot);
	/* Senders wait only if the buffer was full. Then the slot that becomes free here is also
	 * the next one to be filled. */
	step->peer = claim_first(&ch->senders, 0);
	if (step->peer) {
		copy(slot_at(ch, slot), step->peer->elem, ch->elem_size);
		edges_recv_refill(ch->edges, slot, &step->peer->edges);
	} else {
		edges_recv(ch->edges, slot);
		chan_set_count(ch, count - 1);
	}
	return true;
}

bool weft__chan_step_locked(weft_chan *ch, enum weft_op op, void *elem, struct chan_step *ret)
{
	step_begin(ret);
	ret->copies_in = NULL;
	if (ch->big)
		return weft__chan_big_step_locked(ch, op, ret);
	return op == WEFT_SEND ? send_locked(ch, elem, ret) : recv_locked(ch, elem, ret);
}

void weft__chan_finish(const struct chan_step *step, enum weft_op op, void *elem)
{
	if (!step->peer)
		return;
	if (step->direct) {
		if (op == WEFT_SEND)
			copy(step->peer->elem, elem, step->size);
		else
			copy(elem, step->peer->elem, step->size);
	}
	weft__wait_wake(weft__wakeup_of(&step->peer->wait->waiter));
}

/* Waits in the channel. The caller holds the lock; this function releases it. Not inlined, so that
 * steps that need not wait save no registers for it. */
static WEFT__MAY_HOP __attribute__((noinline)) int wait_locked(weft_chan *ch, enum weft_op op,
							       void *elem, int64_t deadline)
{
	struct chan_wait wait;
	struct chan_node node;

	node.wait = &wait;
	node.elem = elem;
	enum wait_outcome outcome = chan_wait_locked(ch, op, &node, deadline);
	return outcome == WAIT_WOKEN ? node.status : wait_errno(outcome);
}

static inline WEFT__MAY_HOP int wait_locked_until(weft_chan *ch, enum weft_op op, void *elem,
						  int64_t deadline)
{
	if (deadline > 0)
		return wait_locked(ch, op, elem, deadline);
	chan_unlock(ch);
	return -ETIMEDOUT;
}

/* A whole send. The caller holds the lock; this function releases it. */
static WEFT__MAY_HOP __attribute__((noinline)) int
send_locked_until(weft_chan *ch, const void *elem, int64_t deadline)
{
	struct chan_step step;

	step_begin(&step);
	if (likely(send_locked(ch, elem, &step))) {
		chan_unlock(ch);
		weft__chan_finish(&step, WEFT_SEND, (void *)elem);
		return step.status;
	}
	return wait_locked_until(ch, WEFT_SEND, (void *)elem, deadline);
}

/* A whole receive, likewise. */
static WEFT__MAY_HOP __attribute__((noinline)) int recv_locked_until(weft_chan *ch, void *ret_elem,
								     int64_t deadline)
{
	struct chan_step step;

	step_begin(&step);
	if (likely(recv_locked(ch, ret_elem, &step))) {
		chan_unlock(ch);
		weft__chan_finish(&step, WEFT_RECV, ret_elem);
		return step.status;
	}
	return wait_locked_until(ch, WEFT_RECV, ret_elem, deadline);
}

/* The end of meet_locked() for elements of an unusual size: copies, and wakes the claimed peer.
 * Called after the unlock. */
static __attribute__((noinline)) int meet(struct chan_node *peer, void *to, const void *from,
					  size_t size)
{
	copy(to, from, size);
	weft__wait_wake(weft__wakeup_of(&peer->wait->waiter));
	return 0;
}

/* A step in a channel without a buffer, in which a partner seems to wait. Like send_locked_until()
 * and recv_locked_until() it releases the lock. The usual path saves no registers. */
static inline WEFT__MAY_HOP __attribute__((always_inline)) int
meet_locked(weft_chan *ch, enum weft_op op, void *elem, int64_t deadline)
{
	struct chan_node *peer = claim_first(op == WEFT_SEND ? &ch->receivers : &ch->senders, 0);

	if (unlikely(!peer))
		return wait_locked_until(ch, op, elem, deadline);
	edges_meet(&peer->edges);
	size_t size = ch->elem_size;
	chan_unlock(ch);
	void *to = op == WEFT_SEND ? peer->elem : elem;
	const void *from = op == WEFT_SEND ? elem : peer->elem;
	if (unlikely(!copy_usual(to, from, size)))
		return meet(peer, to, from, size);
	weft__wait_wake(weft__wakeup_of(&peer->wait->waiter));
	return 0;
}

static WEFT__MAY_HOP __attribute__((noinline)) int
send_meeting_locked(weft_chan *ch, const void *elem, int64_t deadline)
{
	return meet_locked(ch, WEFT_SEND, (void *)elem, deadline);
}

static WEFT__MAY_HOP __attribute__((noinline)) int
recv_meeting_locked(weft_chan *ch, void *ret_elem, int64_t deadline)
{
	return meet_locked(ch, WEFT_RECV, ret_elem, deadline);
}

static inline WEFT__MAY_HOP int step_locked_until(weft_chan *ch, enum weft_op op, void *elem,
						  int64_t deadline)
{
	return op == WEFT_SEND ? send_locked_until(ch, elem, deadline)
			       : recv_locked_until(ch, elem, deadline);
}

/* A step in a channel whose lock somebody else holds. */
static WEFT__MAY_HOP __attribute__((noinline)) int step_contended(weft_chan *ch, enum weft_op op,
								  void *elem, int64_t deadline);

/* A step in a channel whose .plain has run out. The caller holds the lock; this function releases
 * it. */
static WEFT__MAY_HOP __attribute__((noinline, cold)) int step_seldom(weft_chan *ch, enum weft_op op,
								     void *elem, int64_t deadline)
{
	bool big = ch->big, plain = !big && !chan_closed(ch);

	if (deadline > 0 && (plain || ch->plain < -WEFT__PATIENCE)) {
		ch->plain = plain ? WEFT__PATIENCE : 0;
		/* The task may never wait. So it looks at other tasks here, without the lock. */
		chan_unlock(ch);
		weft__fast_path_in_object();
		chan_lock(ch);
	}
	if (!big)
		return step_locked_until(ch, op, elem, deadline);
	chan_unlock(ch);
	return weft__chan_big_do(ch, op, elem, deadline);
}

/* Counts a call that may wait, because such a call has to give way now and then. Calls that cannot
 * wait are not counted. If they were, the calls that may wait could fall into step with the count
 * and never be the one that looks. */
static inline __attribute__((always_inline)) bool is_plain_locked(weft_chan *ch, int64_t deadline)
{
	return likely(deadline > 0 ? --ch->plain >= 0 : ch->plain > 0);
}

static WEFT__MAY_HOP int step_contended(weft_chan *ch, enum weft_op op, void *elem,
					int64_t deadline)
{
	chan_lock_slow(ch);
	return is_plain_locked(ch, deadline) ? step_locked_until(ch, op, elem, deadline)
					     : step_seldom(ch, op, elem, deadline);
}

/*
 * The two steps. The fast path is here: a buffer that is neither full nor empty, and an element of
 * a usual size. It makes no call, so it saves no registers. All other cases leave by a jump.
 */
static inline WEFT__MAY_HOP __attribute__((always_inline)) int
send_until(weft_chan *ch, const void *elem, int64_t deadline, void *call)
{
	if (unlikely(!ch || (!elem && ch->elem_size > 0)))
		return -EINVAL;
	san_reads(elem, ch->elem_size, call);
	if (unlikely(!chan_trylock(ch)))
		return step_contended(ch, WEFT_SEND, (void *)elem, deadline);
	if (!is_plain_locked(ch, deadline))
		return step_seldom(ch, WEFT_SEND, (void *)elem, deadline);
	if (queue_first(&ch->receivers))
		return ch->capacity == 0 ? send_meeting_locked(ch, elem, deadline)
					 : send_locked_until(ch, elem, deadline);
	size_t count = chan_count(ch);
	if (count == ch->capacity)
		return wait_locked_until(ch, WEFT_SEND, (void *)elem, deadline);
	size_t slot = slot_to_fill(ch, count);
	if (unlikely(!copy_usual(slot_at(ch, slot), elem, ch->elem_size)))
		return send_locked_until(ch, elem, deadline);
	edges_send(ch->edges, slot);
	chan_set_count(ch, count + 1);
	chan_unlock(ch);
	return 0;
}

static inline WEFT__MAY_HOP __attribute__((always_inline)) int
recv_plainly_until(weft_chan *ch, void *ret_elem, int64_t deadline)
{
	if (unlikely(!chan_trylock(ch)))
		return step_contended(ch, WEFT_RECV, ret_elem, deadline);
	if (!is_plain_locked(ch, deadline))
		return step_seldom(ch, WEFT_RECV, ret_elem, deadline);
	size_t count = chan_count(ch);
	if (queue_first(&ch->senders))
		return ch->capacity == 0 ? recv_meeting_locked(ch, ret_elem, deadline)
					 : recv_locked_until(ch, ret_elem, deadline);
	if (count == 0)
		return wait_locked_until(ch, WEFT_RECV, ret_elem, deadline);
	size_t slot = ch->order.first;
	if (unlikely(!copy_usual(ret_elem, slot_at(ch, slot), ch->elem_size)))
		return recv_locked_until(ch, ret_elem, deadline);
	ch->order.first = slot_after(ch, slot);
	edges_recv(ch->edges, slot);
	chan_set_count(ch, count - 1);
	chan_unlock(ch);
	return 0;
}

static inline WEFT__MAY_HOP __attribute__((always_inline)) int
recv_until(weft_chan *ch, void *ret_elem, int64_t deadline, void *call)
{
	if (unlikely(!ch))
		return -EINVAL;
#ifdef WEFT_TSAN_USER
	size_t size = ch->elem_size; /* the channel may be gone once the element is here */
	int rc = recv_plainly_until(ch, ret_elem, deadline);
	if (rc == 0 && ret_elem)
		san_writes(ret_elem, size, call);
	return rc;
#else
	(void)call;
	return recv_plainly_until(ch, ret_elem, deadline);
#endif
}

WEFT__MAY_HOP int weft_chan_send(weft_chan *ch, const void *elem)
{
	return send_until(ch, elem, WEFT_FOREVER, SAN_CALL);
}

WEFT__MAY_HOP int weft_chan_send_until(weft_chan *ch, const void *elem, int64_t deadline)
{
	return send_until(ch, elem, deadline, SAN_CALL);
}

WEFT__MAY_HOP int weft_chan_try_send(weft_chan *ch, const void *elem)
{
	if (ch && chan_accepts(ch, WEFT_SEND, elem) && !chan_looks_ready(ch, WEFT_SEND))
		return -EAGAIN;
	int rc = send_until(ch, elem, 0, SAN_CALL);
	return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

WEFT__MAY_HOP int weft_chan_recv(weft_chan *ch, void *ret_elem)
{
	return recv_until(ch, ret_elem, WEFT_FOREVER, SAN_CALL);
}

WEFT__MAY_HOP int weft_chan_recv_until(weft_chan *ch, void *ret_elem, int64_t deadline)
{
	return recv_until(ch, ret_elem, deadline, SAN_CALL);
}

WEFT__MAY_HOP int weft_chan_try_recv(weft_chan *ch, void *ret_elem)
{
	if (ch && !chan_looks_ready(ch, WEFT_RECV))
		return -EAGAIN;
	int rc = recv_until(ch, ret_elem, 0, SAN_CALL);
	return rc == -ETIMEDOUT ? -EAGAIN : rc;
}

void weft_chan_close(weft_chan *ch)
{
	struct chan_node *claimed = NULL, **tail = &claimed, *node, *next;

	if (!ch)
		return;
	chan_lock(ch);
	if (!chan_closed(ch)) {
		store_relaxed(&ch->closed, true);
		ch->plain = 0;
		san_release(&ch->closed);
		while ((node = claim_first(&ch->receivers, -EPIPE)) ||
		       (node = claim_first(&ch->senders, -EPIPE))) {
			edges_close(&node->edges);
			node->next = NULL; /* claimed: its links are ours until its wake */
			*tail = node;
			tail = &node->next;
		}
	}
	chan_unlock(ch);

	for (node = claimed; node; node = next) {
		next = node->next;
		weft__wait_wake(weft__wakeup_of(&node->wait->waiter));
	}
}

size_t weft_chan_len(const weft_chan *ch)
{
	/* relaxed: the count of one moment. */
	return !ch ? 0 : ch->big ? load_relaxed(&ch->order.slots->ready) : chan_count(ch);
}

size_t weft_chan_cap(const weft_chan *ch)
{
	return ch ? ch->capacity : 0;
}

bool weft_chan_closed(const weft_chan *ch)
{
	return ch && chan_closed(ch);
}
