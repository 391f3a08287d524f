/* SPDX-License-Identifier: MIT */
/*
 * Who waits for something of sync.h: a queue of waits, first in first out, under a short lock.
 *
 * The nodes lie in the waiting functions' frames, so waiting cannot fail. A node is claimed under
 * the lock and woken after the unlock; a claim that fails (the deadline has passed, the task is
 * cancelled) takes the node out all the same, and the next one gets what it was to get. So nothing
 * that is handed over is lost.
 *
 * Objects may be freed by whoever was the last to use them, as soon as its call has returned, while
 * the one who let it go on is still inside of its own call. Hence the rule for all of sched/sync:
 * what lets others return is the last touch of the object. For a waiter that is its wake, which
 * needs only the waiter. For a state that others read without the lock, see sync_settle().
 */
#ifndef WEFT_SYNC_QUEUE_H
#define WEFT_SYNC_QUEUE_H

#include "sched/core/wait.h"
#include "sync_lock.h"

struct sync_node {
	struct waiter waiter;

	/* under the queue's lock; once it is claimed, of the claimer until the wake */
	struct sync_node *next;
	struct sync_node *prev; /* of the head: the tail */
	bool queued;
};

struct sync_queue {
	struct sync_lock lock;
	uint32_t spare; /* for whoever embeds it, under what rule it likes */
	_Atomic(struct sync_node *)
		head; /* under lock; NULL: empty, which anyone may read as a hint */
};

static inline void sync_queue_init(struct sync_queue *q)
{
	/* relaxed, both: the caller publishes the object. */
	atomic_store_explicit(&q->lock.held, 0, memory_order_relaxed);
	q->spare = 0;
	atomic_store_explicit(&q->head, NULL, memory_order_relaxed);
}

/* relaxed, here and below: the lock orders. Who reads without it says why that is enough. */
static inline struct sync_node *sync_first(struct sync_queue *q)
{
	return atomic_load_explicit(&q->head, memory_order_relaxed);
}

static inline void sync_set_first_locked(struct sync_queue *q, struct sync_node *node)
{
	atomic_store_explicit(&q->head, node, memory_order_relaxed);
}

static inline void sync_push_locked(struct sync_queue *q, struct sync_node *node)
{
	struct sync_node *head = sync_first(q);

	node->next = NULL;
	node->queued = true;
	if (head) {
		node->prev = head->prev;
		head->prev->next = node;
		head->prev = node;
	} else {
		node->prev = node;
		sync_set_first_locked(q, node);
	}
}

static inline void sync_remove_locked(struct sync_queue *q, struct sync_node *node)
{
	struct sync_node *head = sync_first(q);

	node->queued = false;
	if (node == head) {
		if (node->next)
			node->next->prev = node->prev;
		sync_set_first_locked(q, node->next);
		return;
	}
	node->prev->next = node->next;
	if (node->next)
		node->next->prev = node->prev;
	else
		head->prev = node->prev;
}

/* Claims a node of whatever queue the caller has the lock of. false: it has given up by itself. */
static inline bool sync_claim_locked(struct sync_node *node)
{
	return weft__wait_take(&node->waiter);
}

/* Takes out the first one that has not given up, claimed; NULL: there is none, and the queue is
 * empty. */
static inline struct sync_node *sync_take_locked(struct sync_queue *q)
{
	struct sync_node *node;

	while ((node = sync_first(q))) {
		sync_remove_locked(q, node);
		if (sync_claim_locked(node))
			break;
	}
	return node;
}

/* Takes out all that have not given up, claimed, linked by .next in their order. */
static inline struct sync_node *sync_take_all_locked(struct sync_queue *q)
{
	struct sync_node *first = NULL, **end = &first, *node;

	while ((node = sync_take_locked(q))) {
		*end = node;
		end = &node->next;
	}
	*end = NULL;
	return first;
}

/* Wakes a list of claimed nodes. Without the lock. */
static inline void sync_wake_all(struct sync_node *list)
{
	while (list) {
		struct sync_node *next = list->next; /* before its frame may end */
		weft__wait_wake(weft__wakeup_of(&list->waiter));
		list = next;
	}
}

/* Takes a node out whose wait was not woken, if it still is in. After the return nobody looks at
 * it. */
static inline void sync_leave(struct sync_queue *q, struct sync_node *node)
{
	sync_lock(&q->lock);
	if (node->queued)
		sync_remove_locked(q, node);
	sync_unlock(&q->lock);
}

/*
 * Queues the node, whose waiter has begun to wait, gives the lock back and waits. Woken: nothing of
 * the object is needed any more. Else the node is out of the queue.
 */
static inline enum wait_outcome sync_wait_unlock(struct sync_queue *q, struct sync_node *node,
						 int64_t deadline, bool cancellable)
{
	sync_push_locked(q, node);
	sync_unlock(&q->lock);
	enum wait_outcome outcome = weft__wait(&node->waiter, deadline, cancellable);
	if (outcome != WAIT_WOKEN)
		sync_leave(q, node);
	return outcome;
}

/*
 * Lets whoever set a state under the lock get out of it, before the caller returns because of that
 * state and perhaps frees the object. The caller has read the state without the lock, by an
 * acquire: it sees the lock as held, or as released after the state was set.
 */
static inline void sync_settle(struct sync_queue *q)
{
	/* acquire: its last touches come before what the caller does to the memory; pairs with
	 * sync_unlock(). */
	if (atomic_load_explicit(&q->lock.held, memory_order_acquire) != 0) {
		sync_lock(&q->lock);
		sync_unlock(&q->lock);
	}
}

#endif
