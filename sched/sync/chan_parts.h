/* SPDX-License-Identifier: MIT */
/* The parts of which chan.c, chan_big.c and select.c build a channel's steps: the queues of
 * waiters, the count, and copying. */
#ifndef WEFT_SYNC_CHAN_PARTS_H
#define WEFT_SYNC_CHAN_PARTS_H

#include "chan.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"

#include <errno.h>
#include <string.h>

/* Copies an element. ThreadSanitizer does not see this copy: the callers on both sides announce the
 * accesses as their own. */
static inline void copy(void *to, const void *from, size_t size)
{
	if (!to)
		return;
	/* Link-time optimisation may inline this into a program. The compiler would then know the
	 * sizes of the objects, and warn about the cases that are not taken. */
	__asm__("" : "+r"(to), "+r"(from));
	switch (size) {
	case 0:
		break;
	case 4:
		__builtin_memcpy(to, from, 4);
		break;
	case 8:
		__builtin_memcpy(to, from, 8);
		break;
	case 16:
		__builtin_memcpy(to, from, 16);
		break;
	default:
		san_ignore_begin();
		memcpy(to, from, size);
		san_ignore_end();
	}
}

/* copy() for the usual element sizes, without a function call. Returns false, and does nothing, if
 * the size is another one or `to` is NULL. */
static inline __attribute__((always_inline)) bool copy_usual(void *to, const void *from,
							     size_t size)
{
	__asm__("" : "+r"(to), "+r"(from)); /* as above */
	if (unlikely(!to))
		return false;
	if (size == 8)
		__builtin_memcpy(to, from, 8);
	else if (size == 4)
		__builtin_memcpy(to, from, 4);
	else if (size == 16)
		__builtin_memcpy(to, from, 16);
	else
		return false;
	return true;
}

/* relaxed, here and below: only stored under the lock. */
static inline struct chan_node *queue_first(struct chan_queue *queue)
{
	return load_relaxed(&queue->first);
}

static inline void queue_set_first(struct chan_queue *queue, struct chan_node *node)
{
	/* release: publishes an earlier close to the look without the lock in
	 * chan_looks_ready(). */
	store_release(&queue->first, node);
}

static inline void queue_remove(struct chan_queue *queue, struct chan_node *node)
{
	struct chan_node *next = node->next;

	if (next == node) {
		queue_set_first(queue, NULL);
	} else {
		next->prev = node->prev;
		node->prev->next = next;
		if (queue_first(queue) == node)
			queue_set_first(queue, next);
	}
	node->next = NULL;
}

static inline void queue_append(struct chan_queue *queue, struct chan_node *node)
{
	struct chan_node *first = queue_first(queue);

	if (!first) {
		node->next = node->prev = node;
		queue_set_first(queue, node);
		return;
	}
	node->next = first;
	node->prev = first->prev;
	first->prev->next = node;
	first->prev = node;
}

static inline struct chan_queue *queue_of(weft_chan *ch, enum weft_op op)
{
	return op == WEFT_SEND ? &ch->senders : &ch->receivers;
}

/* Enqueues a node whose .wait and .elem are set. */
static inline void chan_enqueue_locked(weft_chan *ch, enum weft_op op, struct chan_node *node)
{
	edges_wait(&node->edges, ch->big ? 0 : ch->capacity);
	queue_append(queue_of(ch, op), node);
}

/* Takes the node out if it is still in the queue. */
static inline void chan_dequeue_locked(weft_chan *ch, enum weft_op op, struct chan_node *node)
{
	if (node->next)
		queue_remove(queue_of(ch, op), node);
}

/* Waits in the channel with a node whose .wait and .elem are set. The caller holds the lock; this
 * function releases it. */
static inline WEFT__MAY_HOP __attribute__((always_inline)) enum wait_outcome
chan_wait_locked(weft_chan *ch, enum weft_op op, struct chan_node *node, int64_t deadline)
{
	struct waiter *waiter = &node->wait->waiter;

	weft__wait_begin(waiter, deadline == WEFT_FOREVER);
	chan_enqueue_locked(ch, op, node);
	chan_unlock(ch);
	enum wait_outcome outcome = weft__wait(waiter, deadline, true);
	if (outcome != WAIT_WOKEN) {
		chan_lock(ch);
		chan_dequeue_locked(ch, op, node);
		chan_unlock(ch);
	}
	edges_waited(&node->edges, outcome == WAIT_WOKEN);
	return outcome;
}

/* Takes out and claims the node that has waited longest. Nodes that have given up are taken out and
 * skipped. */
static inline struct chan_node *claim_first(struct chan_queue *queue, int status)
{
	struct chan_node *node;

	while ((node = queue_first(queue))) {
		queue_remove(queue, node);
		if (weft__wait_take(&node->wait->waiter)) {
			node->wait->taken = node;
			node->status = status;
			return node;
		}
	}
	return NULL;
}

static inline size_t chan_count(const weft_chan *ch)
{
	return load_relaxed(&ch->count);
}

static inline void chan_set_count(weft_chan *ch, size_t count)
{
	/* release: as in queue_set_first(). */
	store_release(&ch->count, count);
}

static inline bool chan_closed(const weft_chan *ch)
{
	return load_relaxed(&ch->closed);
}

static inline char *slot_at(weft_chan *ch, size_t slot)
{
	return ch->slots + slot * ch->elem_size;
}

static inline bool found_closed(weft_chan *ch, struct chan_step *step)
{
	san_acquire(&ch->closed);
	step->status = -EPIPE;
	return true;
}

static inline void step_begin(struct chan_step *step)
{
	step->status = 0;
	step->peer = NULL;
	step->direct = false;
}

#endif
