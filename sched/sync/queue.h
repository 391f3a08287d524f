/* SPDX-License-Identifier: MIT */
/*
 * The queue of waiters that the primitives of sync.h share: first in, first out, under a short
 * lock.
 *
 * The nodes lie in the frames of the waiting functions, so waiting cannot fail. A node is claimed
 * under the lock and woken after the unlock. A claim fails if the deadline has passed or the task
 * was cancelled. The node is taken out all the same, and the next node gets what this one would
 * have got. So nothing that is handed over is lost.
 *
 * A caller may free an object as soon as its own last call on it has returned. Another caller, the
 * one that let it go on, may still be inside its call. Hence the rule for all of sched/sync: the
 * action that lets others return is the last touch of the object. For a waiter that action is its
 * wake, which needs only the waiter. For a state that others read without the lock, see
 * sync_await_unlock().
 */
#ifndef WEFT_SYNC_QUEUE_H
#define WEFT_SYNC_QUEUE_H

#include "sched/core/wait.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "sync_lock.h"

struct sync_node {
	struct waiter waiter;

	/* under the queue's lock; after a claim they are the claimer's until the wake */
	struct sync_node *next;
	struct sync_node *prev; /* of the head: the tail */
	bool queued;
};

struct sync_queue {
	struct sync_lock lock;
	uint32_t user; /* for the object that embeds the queue, under a rule of its own */
	/* Under the lock; NULL if the queue is empty. Anyone may read it as a hint. */
	_Atomic(struct sync_node *) head;
};

static inline void sync_queue_init(struct sync_queue *q)
{
	/* relaxed, both: the caller publishes the object. */
	store_relaxed(&q->lock.held, 0);
	q->user = 0;
	store_relaxed(&q->head, NULL);
}

/* relaxed, here and below: the lock orders. A reader without the lock says why relaxed is
 * enough. */
static inline struct sync_node *sync_first(struct sync_queue *q)
{
	return load_relaxed(&q->head);
}

static inline void sync_set_first_locked(struct sync_queue *q, struct sync_node *node)
{
	store_relaxed(&q->head, node);
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

/* Claims a node of any queue whose lock the caller holds. Returns false if the node has given
 * up. */
static inline bool sync_claim_locked(struct sync_node *node)
{
	return weft__wait_take(&node->waiter);
}

/* Takes out and claims the first node that has not given up. Returns NULL if there is none; the
 * queue is then empty. */
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

/* Takes out and claims all nodes that have not given up. They are linked by .next, in their
 * order. */
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

/* Wakes a list of claimed nodes. The caller does not hold the lock. */
static inline void sync_wake_all(struct sync_node *list)
{
	while (list) {
		struct sync_node *next = list->next; /* read before the node's frame may end */
		weft__wait_wake(weft__wakeup_of(&list->waiter));
		list = next;
	}
}

/* Takes out a node whose wait was not woken, if it is still in. Nobody looks at the node after the
 * return. */
static inline void sync_leave(struct sync_queue *q, struct sync_node *node)
{
	sync_lock(&q->lock);
	if (node->queued)
		sync_remove_locked(q, node);
	sync_unlock(&q->lock);
}

/*
 * Queues the node, releases the lock and waits. The node's waiter has begun to wait. If the wait
 * was woken, the caller needs nothing of the object from then on. If it was not, the node is out of
 * the queue.
 */
static inline WEFT__MAY_HOP enum wait_outcome
sync_wait_unlock(struct sync_queue *q, struct sync_node *node, int64_t deadline, bool cancellable)
{
	sync_push_locked(q, node);
	sync_unlock(&q->lock);
	enum wait_outcome outcome = weft__wait(&node->waiter, deadline, cancellable);
	if (outcome != WAIT_WOKEN)
		sync_leave(q, node);
	return outcome;
}

/*
 * Waits until the caller that set a state under the lock has left the critical section. The present
 * caller is about to return because of that state, and may then free the object. It has read the
 * state by an acquire, without the lock. So it sees the lock as held, or as released after the
 * state was set.
 */
static inline void sync_await_unlock(struct sync_queue *q)
{
	/* acquire: the holder's last touches come before what the caller does to the memory. Pairs
	 * with sync_unlock(). */
	if (load_acquire(&q->lock.held) != 0) {
		sync_lock(&q->lock);
		sync_unlock(&q->lock);
	}
}

#endif
