/* SPDX-License-Identifier: MIT */
/*
 * The channel as select sees it: its lock, its two queues of waiters, and one step on it under the
 * lock.
 *
 * Invariants, under the lock:
 *  1. There is an element in the buffer: no receiver waits. There is room in the buffer: no sender
 *     waits. (A waiter that has timed out or was cancelled and has not unlinked itself yet does not
 *     count: it cannot be claimed.)
 *  2. Not both a sender and a receiver wait, unless both are nodes of the same select.
 *  3. Who finds its partner waiting claims it and carries out both sides; only waiters are ever
 *     claimed. Who looks is not enqueued anywhere, so it needs no claim for itself, and two can
 *     never claim each other. A select that is about to enqueue itself looks and enqueues while it
 *     holds the locks of all its channels.
 *  4. Who has been claimed is in that queue no more, and its partner does not touch the channel
 *     after the unlock.
 *
 * Big elements (chan_big.c) have slots that are being copied to or from, hence another first
 * invariant.
 */
#ifndef WEFT_SYNC_CHAN_H
#define WEFT_SYNC_CHAN_H

#include "chan_edges.h"
#include "sched/core/wait.h"
#include "sync_lock.h"

#include <weft/chan.h>

/* One who waits: for one channel, or for several in a select. In its frame. */
struct chan_wait {
	struct waiter waiter;
	struct chan_node *taken; /* which was claimed (the claimer writes, before the wake) */
};

/* Its place in the queue of one channel. */
struct chan_node {
	/* under the channel's lock */
	struct chan_node *next, *prev; /* a ring; next NULL: in no queue */

	/* immutable while it is in a queue */
	struct chan_wait *wait;
	void *elem; /* to be sent (not written through); where to put what is received, or NULL */

	int status; /* 0 or -EPIPE (the claimer writes, before the wake) */
	/* big elements: what the waiter is to copy to or from (likewise); CHAN_NO_SLOT: nothing */
	size_t slot;
	struct chan_node_edges edges;
};

/* First in, first out. Without the lock anyone may look whether there is somebody. */
struct chan_queue {
	_Atomic(struct chan_node *) first;
};

/* In which order the slots of big elements are used. Under the lock; .ready is peeked at. */
struct chan_big {
	_Atomic size_t ready;                       /* how many can be received */
	size_t free_first, ready_first, ready_last; /* CHAN_NO_SLOT: none */
	size_t links[];                             /* for each slot, the next in its list */
};

struct weft_chan {
	/* immutable, both; first, since free() overwrites it, and not the lock that was buried */
	size_t elem_size, capacity;

	struct sync_lock lock;

	/* under lock; peeked at without it */
	_Atomic bool closed;
	bool big;             /* immutable: chan_big.c has its steps */
	bool lent;            /* immutable: the memory is the caller's */
	_Atomic size_t count; /* elements in the buffer */
	struct chan_queue senders, receivers;

	union {
		size_t first;           /* under lock: the slot of the oldest element */
		struct chan_big *slots; /* immutable: of big elements */
	} order;
	/* Under lock. Counts sends and receives that may wait down. Below 0 they look
	 * closer: in an open channel each WEFT__PATIENCE of them (patience.c), in one that is closed
	 * or .big always. So the plain way has one test for all three. */
	int32_t plain;

	/* immutable */
	struct slot_edges *edges; /* one for each slot, or NULL */

	_Atomic size_t references; /* any; the last one destroys it */

	/* under lock; elem_size bytes each */
	char slots[];
};

/* Elements of more bytes than this are not copied under the lock, where there is a buffer. Copying
 * so many takes about a tenth of a microsecond. */
#define CHAN_BIG     4096
#define CHAN_NO_SLOT SIZE_MAX

/* A step that has been taken; what is left to do without the lock, where the channel may be
 * gone. */
struct chan_step {
	int status;             /* 0 or -EPIPE */
	struct chan_node *peer; /* claimed and to be woken; NULL: none */
	bool direct; /* the element is still to be copied between the peer and the caller */
	size_t size;
	weft_chan *copies_in; /* not NULL: weft__chan_big_copy() is to be called, with .slot */
	size_t slot;
};

/*
 * Sends or receives if that can be done at once: true. The caller holds the lock and, after the
 * unlock, calls weft__chan_finish(), or weft__chan_big_copy() where .copies_in says so.
 */
bool weft__chan_step_locked(weft_chan *ch, enum weft_op op, void *elem, struct chan_step *ret);
void weft__chan_finish(const struct chan_step *step, enum weft_op op, void *elem);

/* chan_big.c: the same for channels with .big; all of a send or receive; its second half, for a slot
 * that is the caller's; how many bytes the slots take, unless that is too many; their first state. */
bool weft__chan_big_step_locked(weft_chan *ch, enum weft_op op, struct chan_step *ret);
int weft__chan_big_do(weft_chan *ch, enum weft_op op, void *elem, int64_t deadline);
int weft__chan_big_copy(weft_chan *ch, enum weft_op op, size_t slot, void *elem);
bool weft__chan_big_size(size_t elem_size, size_t capacity, size_t *ret_size);
void weft__chan_big_init(weft_chan *ch);

/* chan_looks_ready() of a channel with .big, but for the look at .closed. */
static inline bool chan_big_looks_blocked(const weft_chan *ch, enum weft_op op)
{
	const struct chan_queue *partners = op == WEFT_SEND ? &ch->receivers : &ch->senders;

	/* acquire, all: as below. */
	if (op == WEFT_SEND
		    ? atomic_load_explicit(&ch->count, memory_order_acquire) != ch->capacity
		    : atomic_load_explicit(&ch->order.slots->ready, memory_order_acquire) != 0)
		return false;
	return !atomic_load_explicit(&partners->first, memory_order_acquire);
}

/*
 * Whether a step looks possible. Without the lock. A yes is a hint that the lock is worth taking. A
 * no is exact: at some moment during the call the step was not possible.
 *
 * That moment is the first look. By invariant 1 the buffer alone decides, if there is one: who
 * could be a partner does not wait while the buffer has what we need. Without a buffer the queue of
 * partners decides. Then comes the look at `closed`. A channel is never opened again, so if it is
 * not closed at the second look it was not at the first. The other way round the channel could be
 * closed between the two, and then emptied: it was ready all the time, first by its element, then
 * by the close.
 *
 * With big elements both are looked at, and a no is exact as long as nothing is being copied.
 */
static inline bool chan_looks_ready(const weft_chan *ch, enum weft_op op)
{
	const struct chan_queue *partners = op == WEFT_SEND ? &ch->receivers : &ch->senders;
	bool blocked;

	/* acquire, both: the look at .closed comes after this one, and sees the close that came
	 * before what is seen here; pairs with chan_set_count(), add_ready() and
	 * queue_set_first(). */
	if (ch->capacity == 0)
		blocked = !atomic_load_explicit(&partners->first, memory_order_acquire);
	else if (__builtin_expect(!ch->big, 1))
		blocked = atomic_load_explicit(&ch->count, memory_order_acquire) ==
			  (op == WEFT_SEND ? ch->capacity : 0);
	else
		blocked = chan_big_looks_blocked(ch, op);
	return !blocked || atomic_load_explicit(&ch->closed, memory_order_relaxed);
}

/* Whether the arguments are what the operation needs. */
static inline bool chan_accepts(const weft_chan *ch, enum weft_op op, const void *elem)
{
	return elem || op == WEFT_RECV || ch->elem_size == 0;
}

#endif
