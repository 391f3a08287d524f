/* SPDX-License-Identifier: MIT */
/*
 * The parts of liburcu that Weft uses: its wait-free queue with embedded nodes, and RCU (memb).
 * Only urcu.c includes liburcu. It calls the shared library and does not use the inline code of
 * _LGPL_SOURCE. ThreadSanitizer does not see liburcu's atomics, so urcu.c tells the tool the
 * resulting order by hand.
 *
 * The queue. Which operations may run side by side:
 *
 * 	                  enqueue  take  empty
 * 	enqueue              -       -     -
 * 	take                 -       T     -
 * 	empty                -       -     -
 *
 * -: at any time, side by side. T: the queue itself excludes this with a trylock, and nobody waits.
 *
 * Enqueue is wait-free and has two steps. It exchanges the tail, which is its linearisation. Then
 * it links the predecessor to the node. A thread that is preempted between the two steps hides
 * three things until it runs again: its node, all later nodes, and the predecessor. Take then says
 * "blocked" instead of waiting.
 *
 * Rejected: a stack, whose push is a single compare-and-swap. The consumer takes it whole and
 * reverses it. The reversal has no bound: after a million pushes one take would touch a million
 * cold nodes. Pushes that reverse a part now and then must exclude consumers meanwhile. A thread
 * that is preempted there hides as much as here, and spends more time there than between two
 * instructions.
 *
 * Rejected: linked queues whose single step is the link (Michael, Scott), or that mend a missing
 * link from behind (Ladan-Mozes, Shavit). They touch nodes that were taken out already. Here such a
 * node is its owner's memory: a fork lies in its parent's frame.
 *
 * No lost wake-up. A consumer announces its sleep with a store and passes weft__fence_heavy(). It
 * may sleep if weft__wfcq_take() then gives it nothing, whether blocked or not. Producers call
 * weft__fence_light() after weft__wfcq_enqueue(), and then look for announced sleepers. For each
 * node one of these is true:
 *
 *  (a) take saw the node and took it.
 *  (b) The node's producer, or another one that hides it, had not linked yet. That producer looks
 *      for sleepers after the heavy fence, and finds the announcement.
 *  (c) Another consumer held the trylock. The consumer that is turned away leaves a note, and the
 *      holder finds the note when it lets go. If the holder's batch has room, it looks again. It
 *      then sees everything that the other consumer could have seen. If the holder's batch is full,
 *      there may be more nodes, and the holder must say so. *A consumer that got max nodes and then
 *      finds the queue not empty wakes another one*, or takes again, before it does anything long.
 *      Its look for sleepers sees the announcement of every consumer that was turned away.
 *
 * RCU. Read-side sections nest. They never contain a switch of coroutines, because the reader count
 * belongs to the thread. They never call weft__rcu_synchronize(). After fork() the child may use
 * neither the queue nor the RCU of the parent's runtimes.
 */
#ifndef WEFT_SCHED_QUEUE_URCU_H
#define WEFT_SCHED_QUEUE_URCU_H

#include "src/base/atomic.h"
#include "src/base/compiler.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

/* Embedded in what is queued, and in one queue at most. Needs no initialisation. It belongs to
 * liburcu while it is queued, and is otherwise free for any use. */
struct weft__wfcq_node {
	void *opaque;
};

struct weft__wfcq {
	/* The consumers' line. head belongs to the holder of the trylock. A producer links it if
	 * the queue was empty. */
	alignas(WEFT__CACHE_LINE) struct weft__wfcq_node head;
	/* The number of consumers since the trylock was last free; 0 means free. The first one
	 * holds the trylock. */
	_Atomic uint32_t consumers;

	/* The producers' line. */
	alignas(WEFT__CACHE_LINE) void *tail;
};

/* Makes an empty queue. It needs no fini, but must be empty when it is dropped. */
void weft__wfcq_init(struct weft__wfcq *q);

/*
 * Adds a node at the end. Any thread. Everything before the call happens before the taking of the
 * node.
 *
 * @node  in no queue; borrowed until it is taken, which may be before the call returns.
 *
 * Returns whether the queue held something before it. weft__fence_light() must follow before the
 * caller looks for sleepers.
 */
bool weft__wfcq_enqueue(struct weft__wfcq *q, struct weft__wfcq_node *node);

/*
 * Takes up to max nodes from the front into out, in order. Any thread. Never waits. The nodes are
 * the caller's as soon as it returns.
 *
 * @ret_blocked  receives whether there may be something that this call could not take, because
 *               another consumer was taking or a producer was between its two steps. The caller may
 *               still go to sleep (see above). May be NULL.
 *
 * Returns the number of nodes. If it is max there may be more: the comment above says what the
 * caller must then do.
 */
unsigned weft__wfcq_take(struct weft__wfcq *q, struct weft__wfcq_node **out, unsigned max,
			 bool *ret_blocked);

/* Whether the queue was empty at some time during the call. Any thread. Also false if a producer is
 * between its two steps. Orders nothing. */
bool weft__wfcq_empty(struct weft__wfcq *q);

/* The calling thread becomes, and ceases to be, a reader. Call each once. Nothing else in the
 * process may register the thread. */
void weft__rcu_register(void);
void weft__rcu_unregister(void);

/* A read-side section of a registered thread. */
void weft__rcu_lock(void);
void weft__rcu_unlock(void);

/* Waits for the end of every read-side section that is running now. Any thread, outside of such a
 * section. */
void weft__rcu_synchronize(void);

/* Loads the pointer in a read-side section. It stays valid until the section's end. The only thread
 * that may store the pointer may also call this. */
static inline void *weft__rcu_load(_Atomic(void *) *pointer)
{
	/* acquire: pairs with weft__rcu_store(); sees what it published. A dependency would be
	 * enough, but C has none that works. */
	return load_acquire(pointer);
}

/* Publishes the object that value points to. A caller excludes other callers that store. */
static inline void weft__rcu_store(_Atomic(void *) *pointer, void *value)
{
	/* release: pairs with weft__rcu_load() */
	store_release(pointer, value);
}

#endif
