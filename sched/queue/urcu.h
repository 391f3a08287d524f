/* SPDX-License-Identifier: MIT */
/*
 * What Weft uses of liburcu: its wait-free queue with embedded nodes, and RCU (memb). urcu.c is the
 * only file that includes liburcu, as calls into the shared library (no _LGPL_SOURCE): its inline
 * atomics are invisible to ThreadSanitizer, which is told of the resulting order by hand there.
 *
 * The queue
 *
 *	                  enqueue  take  empty
 *	enqueue              -       -     -
 *	take                 -       T     -
 *	empty                -       -     -
 *
 * -: at any time, side by side. T: excluded by the queue itself, by a trylock; nobody waits.
 *
 * Enqueue is wait-free, in two steps: it exchanges the tail (linearisation), then links the
 * predecessor to the node. A thread that is preempted between the two hides its node, all later
 * ones and the predecessor until it runs again. Take then says "blocked" instead of waiting.
 *
 * Rejected: a stack, where a push is a single compare-and-swap, which the consumer takes whole and
 * reverses. The reversal has no bound: after a million pushes one take would touch a million cold
 * nodes. Pushes that reverse a part now and then have to exclude consumers meanwhile, so a thread
 * that is preempted there hides as much as here, and stays there for longer than between two
 * instructions. Rejected: linked queues whose single step is the link (Michael, Scott), or that mend
 * a missing link from behind (Ladan-Mozes, Shavit). They touch nodes that were taken out already,
 * and here these are memory of their owner's: a fork lies in its parent's frame.
 *
 * No lost wake-up. A consumer may go to sleep if, after it has announced that it will (a store) and
 * then passed weft__fence_heavy(), weft__wfcq_take() gives it nothing, whether blocked or not.
 * Producers call weft__fence_light() after weft__wfcq_enqueue() and then look for announced
 * sleepers. One of these holds for each node:
 *  - take saw it and took it;
 *  - its producer, or one that hides it, had not linked yet: that one's look for sleepers comes
 *    after the heavy fence and finds the announcement;
 *  - another consumer held the trylock. Being turned away leaves a mark that the holder finds when
 *    it lets go. If its batch has room it then looks again, and all that the one who was turned
 *    away could have seen is visible to it. If its batch is full there may be more, and the holder
 *    must say so: *a consumer that got max nodes and then finds the queue not empty wakes another
 *    one* (or takes again) before it does anything long. Its look for sleepers sees the
 *    announcement of any who was turned away.
 *
 * RCU: read-side sections nest, never contain a switch of coroutines (the reader count is the
 * thread's), and never call weft__rcu_synchronize(). After fork() the child may use neither queue
 * nor RCU of the parent's runtimes.
 */
#ifndef WEFT_SCHED_QUEUE_URCU_H
#define WEFT_SCHED_QUEUE_URCU_H

#include "sched/os/cacheline.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Embedded in what is queued; in one queue at most. Needs no initialisation. liburcu's while it is
 * queued, otherwise free for any use. */
struct weft__wfcq_node {
	void *opaque;
};

struct weft__wfcq {
	/* Consumers' line. head: whoever holds the trylock (link by a producer: when the queue was
	 * empty). */
	alignas(WEFT__CACHE_LINE) struct weft__wfcq_node head;
	/* How many consumers have come since it was last free; 0: free. The first one holds the
	 * trylock. */
	_Atomic uint32_t consumers;

	/* Producers' line. */
	alignas(WEFT__CACHE_LINE) void *tail;
};

/* An empty queue. It needs no fini: who drops it must have emptied it. */
void weft__wfcq_init(struct weft__wfcq *q);

/*
 * Adds a node at the end. Any thread. Everything before the call happens before whoever takes the
 * node.
 *
 * @node  in no queue; borrowed until it is taken, which may be before the call returns.
 *
 * Returns whether there was something in the queue before it. weft__fence_light() must follow
 * before the caller looks for sleepers.
 */
bool weft__wfcq_enqueue(struct weft__wfcq *q, struct weft__wfcq_node *node);

/*
 * Takes up to max nodes from the front into out, in order. Any thread. Never waits. The nodes are
 * the caller's as soon as it returns.
 *
 * @ret_blocked  receives whether something may be there that this call could not take, because
 *               another consumer was at it or a producer was between its two steps. Going to sleep
 *               is right all the same (see above). May be NULL.
 *
 * Returns how many were taken. If it is max there may be more: see above for what the caller then
 * owes.
 */
unsigned weft__wfcq_take(struct weft__wfcq *q, struct weft__wfcq_node **out, unsigned max,
			 bool *ret_blocked);

/* Whether the queue was empty at some time during the call. Any thread. false also if a producer is
 * between its two steps. Orders nothing. */
bool weft__wfcq_empty(struct weft__wfcq *q);

/* The calling thread becomes, and ceases to be, a reader. Once each; not registered by anyone else
 * in the process. */
void weft__rcu_register(void);
void weft__rcu_unregister(void);

/* A read-side section of a registered thread. */
void weft__rcu_lock(void);
void weft__rcu_unlock(void);

/* Waits until every read-side section that is running now has ended. Any thread, outside of such a
 * section. */
void weft__rcu_synchronize(void);

/* The pointer, in a read-side section: it stays valid until the section's end. Or by who alone may
 * store it. */
static inline void *weft__rcu_load(_Atomic(void *) *pointer)
{
	/* acquire: pairs with weft__rcu_store(); sees what it published. (A dependency would do,
	 * but not in C.) */
	return atomic_load_explicit(pointer, memory_order_acquire);
}

/* Publishes what value points to. Who stores excludes others who do. */
static inline void weft__rcu_store(_Atomic(void *) *pointer, void *value)
{
	/* release: pairs with weft__rcu_load(). */
	atomic_store_explicit(pointer, value, memory_order_release);
}

#endif
