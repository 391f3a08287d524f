/* SPDX-License-Identifier: MIT */
/*
 * A channel as chan.c, chan_big.c and select.c see it: its lock, its two queues of waiters, and one
 * step on it under the lock. A step is one send or one receive.
 *
 * Invariants, all under the channel's lock. A waiter that has timed out or was cancelled does not
 * count as waiting, even while its node is still in a queue: nobody can claim it.
 *  1. While the buffer holds an element, no receiver waits. While the buffer has room, no sender
 *     waits.
 *  2. A sender and a receiver never wait at the same time, unless both are nodes of one select.
 *  3. A caller that finds its partner waiting claims that partner and carries out both sides. Only
 *     waiters are ever claimed. A caller that looks is in no queue. So it need not claim itself,
 *     and two callers cannot claim each other. A select that is about to wait holds the locks of
 *     all its channels while it looks and enqueues its nodes.
 *  4. A claimed waiter is no longer in the queue that it was claimed from. Its partner does not
 *     touch the channel after the unlock.
 *
 * Invariant 1 is a different one for channels of big elements, because an element is being copied
 * into or out of a slot without the lock: see chan_big.c.
 */
#ifndef WEFT_SYNC_CHAN_H
#define WEFT_SYNC_CHAN_H

#include "chan_edges.h"
#include "sched/core/wait.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "sync_lock.h"

#include <weft/chan.h>

/* A task or thread that waits for one channel, or for several in a select. Lies in its frame. */
struct chan_wait {
	struct waiter waiter;
	/* the node that was claimed; stored by the claimer before the wake */
	struct chan_node *taken;
};

/* A waiter's place in the queue of one channel. */
struct chan_node {
	/* under the channel's lock */
	struct chan_node *next, *prev; /* a ring; next is NULL in no queue */

	/* immutable while the node is in a queue */
	struct chan_wait *wait;
	/* Sender: the element, which is only read. Receiver: where the element goes, or NULL. */
	void *elem;

	int status; /* 0 or -EPIPE; stored by the claimer before the wake */
	/* Big elements: the slot that the waiter copies to or from, or CHAN_NO_SLOT. Stored by the
	 * claimer before the wake. */
	size_t slot;
	struct chan_node_edges edges;
};

/* First in, first out. Anyone may read `first` without the lock to see whether somebody waits. */
struct chan_queue {
	_Atomic(struct chan_node *) first;
};

/* The order in which the slots of big elements are used. Under the channel's lock; `ready` is also
 * read without it. */
struct chan_big {
	_Atomic size_t ready;                       /* how many slots can be received from */
	size_t free_first, ready_first, ready_last; /* CHAN_NO_SLOT if there is none */
	size_t links[];                             /* for each slot, the next one in its list */
};

struct weft_chan {
	/* Both are immutable. They come first because free() overwrites the start of the memory,
	 * and the buried lock should survive that. */
	size_t elem_size, capacity;

	struct sync_lock lock;

	/* under lock; also read without it */
	_Atomic bool closed;
	bool big;             /* immutable: chan_big.c does the steps */
	bool lent;            /* immutable: the caller owns the memory */
	_Atomic size_t count; /* elements in the buffer */
	struct chan_queue senders, receivers;

	union {
		size_t first;           /* under lock: the slot of the oldest element */
		struct chan_big *slots; /* immutable: with big elements */
	} order;
	/* Under lock. Each send or receive that may wait counts it down. Below 0 the call takes a
	 * closer look. In an open channel that is one call in WEFT__PATIENCE (patience.c). In a
	 * closed channel, or in one with .big, it is every call. So the fast path needs one test
	 * for all three cases. */
	int32_t plain;

	/* immutable */
	struct slot_edges *edges; /* one for each slot, or NULL */

	/* atomic, any thread; giving up the last one destroys the channel */
	_Atomic size_t references;

	/* under lock; elem_size bytes each */
	char slots[];
};

/* The channel's lock, also a timer's. A caller may hold several, which it has taken in rising order
 * of their addresses (select.c). */
static inline bool chan_trylock(weft_chan *ch)
{
	return sync_trylock(&ch->lock);
}

static inline void chan_lock(weft_chan *ch)
{
	(sync_lock)(&ch->lock);
}

/* For a caller whose chan_trylock() has failed. */
static inline void chan_lock_slow(weft_chan *ch)
{
	weft__sync_lock_slow(&ch->lock);
}

static inline void chan_unlock(weft_chan *ch)
{
	(sync_unlock)(&ch->lock);
}

/* In place of the last unlock, before the channel is freed. */
static inline void chan_bury(weft_chan *ch)
{
	sync_lock_bury(&ch->lock);
}

/* For the check of the order (src/base/lockcheck.h). */
#define chan_trylock(ch)   WEFT__TAKES_IF(&(ch)->lock, WEFT__RANK_CHANNEL, (chan_trylock)(ch))
#define chan_lock(ch)      WEFT__TAKES(&(ch)->lock, WEFT__RANK_CHANNEL, (chan_lock)(ch))
#define chan_lock_slow(ch) WEFT__TAKES(&(ch)->lock, WEFT__RANK_CHANNEL, (chan_lock_slow)(ch))
#define chan_unlock(ch)    WEFT__GIVES(&(ch)->lock, WEFT__RANK_CHANNEL, (chan_unlock)(ch))
#define chan_bury(ch)      WEFT__GIVES(&(ch)->lock, WEFT__RANK_CHANNEL, (chan_bury)(ch))

/* Larger elements, in bytes, are not copied under the lock if the channel has a buffer. Copying so
 * many bytes takes about a tenth of a microsecond. */
#define CHAN_BIG     4096
#define CHAN_NO_SLOT SIZE_MAX

/* A step that has been taken under the lock, and what is left to do after the unlock. The channel
 * may be gone by then. */
struct chan_step {
	int status;             /* 0 or -EPIPE */
	struct chan_node *peer; /* claimed, and still to be woken; NULL if there is none */
	bool direct;            /* the element must still be copied between peer and caller */
	size_t size;
	weft_chan *copies_in; /* if not NULL, weft__chan_big_copy() must be called with .slot */
	size_t slot;
};

/*
 * Sends or receives if that is possible at once, and returns whether it was. The caller holds the
 * lock. After the unlock the caller must call weft__chan_big_copy() if .copies_in is set, and
 * weft__chan_finish() if it is not.
 */
bool weft__chan_step_locked(weft_chan *ch, enum weft_op op, void *elem, struct chan_step *ret);
void weft__chan_finish(const struct chan_step *step, enum weft_op op, void *elem);

/* chan_big.c, for channels with .big. In this order: one step under the lock; a whole send or
 * receive; its second half, for a slot that the caller has taken; the number of bytes that the
 * slots take, or false if that overflows; and the first state of the slots. */
bool weft__chan_big_step_locked(weft_chan *ch, enum weft_op op, struct chan_step *ret);
WEFT__MAY_HOP int weft__chan_big_do(weft_chan *ch, enum weft_op op, void *elem, int64_t deadline);
int weft__chan_big_copy(weft_chan *ch, enum weft_op op, size_t slot, void *elem);
bool weft__chan_big_size(size_t elem_size, size_t capacity, size_t *ret_size);
void weft__chan_big_init(weft_chan *ch);

/* chan_looks_ready() of a channel with .big, negated and without the look at .closed. */
static inline bool chan_big_looks_blocked(const weft_chan *ch, enum weft_op op)
{
	const struct chan_queue *partners = op == WEFT_SEND ? &ch->receivers : &ch->senders;

	/* acquire, all three: as in chan_looks_ready(). */
	if (op == WEFT_SEND ? load_acquire(&ch->count) != ch->capacity
			    : load_acquire(&ch->order.slots->ready) != 0)
		return false;
	return !load_acquire(&partners->first);
}

/*
 * Returns whether a step looks possible, without the lock. "Yes" is a hint that taking the lock is
 * worth it. "No" is exact: at some moment during the call the step was not possible.
 *
 * That moment is the first look.
 *  (a) With a buffer, the buffer alone decides. By invariant 1 no partner waits while the buffer
 *      has what we need.
 *  (b) Without a buffer, the queue of partners decides.
 *
 * The look at `closed` comes second. A channel is never opened again. So if it is not closed at the
 * second look, it was not closed at the first one either. The other order would be wrong: between
 * the two looks the channel could be closed and then emptied. It would have been ready all the
 * time, first by its element and then by the close.
 *
 * With big elements, both the buffer and the queue are looked at. "No" is then exact as long as no
 * element is being copied.
 */
static inline bool chan_looks_ready(const weft_chan *ch, enum weft_op op)
{
	const struct chan_queue *partners = op == WEFT_SEND ? &ch->receivers : &ch->senders;
	bool blocked;

	/* acquire, both: the look at .closed comes after this load, and sees a close that came
	 * before the value read here. Pairs with chan_set_count(), add_ready() and
	 * queue_set_first(). */
	if (ch->capacity == 0)
		blocked = !load_acquire(&partners->first);
	else if (likely(!ch->big))
		blocked = load_acquire(&ch->count) == (op == WEFT_SEND ? ch->capacity : 0);
	else
		blocked = chan_big_looks_blocked(ch, op);
	return !blocked || load_relaxed(&ch->closed);
}

/* Returns whether the arguments are valid for the operation. */
static inline bool chan_accepts(const weft_chan *ch, enum weft_op op, const void *elem)
{
	return elem || op == WEFT_RECV || ch->elem_size == 0;
}

#endif
