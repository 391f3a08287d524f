/* SPDX-License-Identifier: MIT */
/*
 * The mutex, for the functions that lock it and for the condition, which moves its waiters over
 * here.
 *
 * The word holds who has the mutex. The uncontended pair is one compare-and-swap each, and misuse
 * is seen at no cost: an unlock that is not the holder's finds another word than it expects.
 *
 *   0                          free, nobody waits
 *   holder                     held, nobody waits
 *   holder | QUEUED            held; the unlock wakes the first in the queue
 *   holder | QUEUED | WOKEN    held; the first one has been woken and tries to get it
 *            QUEUED | WOKEN    free; likewise
 *
 * Invariants.
 *  1. QUEUED says that the queue is not empty; both change under the queue's lock.
 *  2. Free and QUEUED implies WOKEN: somebody is on the way. So no unlock's wake is missing.
 *  3. While it is held and queued and not WOKEN, and the queue's lock is held by the holder, the
 *     word does not change.
 *  4. The unlock's last touch of the mutex is the store that frees or hands over the word, unless a
 *     node is in the queue whose waiter must take the queue's lock before it returns: then it is
 *     the unlock of that.
 *
 * Barging (rejected alone: starves; handing over each time, rejected too: every unlock under
 * contention is then a switch or a wake of another CPU, a hundred times slower). A free mutex is
 * taken by whoever comes. A woken waiter stays at the head of the queue until it has the mutex. One
 * that has lost after having waited for PATIENCE, or that was woken but did not get to run for that
 * long while others came and went, is handed the mutex by the next unlock.
 */
#ifndef WEFT_SYNC_MUTEX_H
#define WEFT_SYNC_MUTEX_H

#include "queue.h"
#include "self.h"

#include <weft/sync.h>

#define MUTEX_QUEUED ((uint64_t)1)
#define MUTEX_WOKEN  ((uint64_t)2)
#define MUTEX_FLAGS  (MUTEX_QUEUED | MUTEX_WOKEN)

/* One in so many unlocks looks whether the one that was woken has lost its patience. */
#define MUTEX_LOOK_EVERY 64

static_assert(MUTEX_FLAGS == IDENTITY_FREE_BITS, "the flags fit beside an identity");

struct mutex {
	_Atomic uint64_t word;
	/* A hint for those who spin: the holder's worker and how often that had picked when it
	 * locked; 0: unknown. */
	_Atomic uint64_t held_at;
	/* .spare: how often the mutex was freed since the first one was woken (the holder's) */
	struct sync_queue queue;
} __attribute__((may_alias));

static_assert(sizeof(struct mutex) <= sizeof(weft_mutex), "a mutex fits its public storage");
static_assert(alignof(struct mutex) <= alignof(weft_mutex), "a mutex fits its public storage");

enum mutex_wait {
	MUTEX_ASLEEP,  /* to be claimed and woken */
	MUTEX_CLAIMED, /* claimed by a condition's signal, which left the wake to us */
	MUTEX_AWAKE,   /* woken, to get it or to wait anew; the head */
};

struct mutex_node {
	struct sync_node n;
	uint64_t self; /* immutable */

	/* under the queue's lock */
	enum mutex_wait state;
	bool overdue; /* to be handed the mutex at the next unlock */
	bool granted; /* has it */
	bool moved; /* from a condition's queue to the mutex's (by the claimer, before the wake) */
	int64_t since; /* when it began to wait */
};

static inline void mutex_node_init(struct mutex_node *node, uint64_t self)
{
	node->self = self;
	node->state = MUTEX_ASLEEP;
	node->overdue = false;
	node->granted = false;
	node->moved = false;
	node->since = 0;
}

static inline uint64_t mutex_holder(uint64_t word)
{
	return word & ~MUTEX_FLAGS;
}

/* Of the holder, on w. */
static inline void mutex_note_holder(struct mutex *m, struct worker *w)
{
	/* relaxed, both: hints */
	if (w)
		atomic_store_explicit(&m->held_at,
				      w->mark |
					      atomic_load_explicit(&w->picks, memory_order_relaxed),
				      memory_order_relaxed);
}

/* Takes the mutex if it is free, others waiting for it or not. */
static inline bool mutex_lock_fast(struct mutex *m, uint64_t self)
{
	/* relaxed: the compare-and-swap decides. Looking first spares those who barge a failing
	 * one. */
	uint64_t word = atomic_load_explicit(&m->word, memory_order_relaxed);

	/* acquire: what the last holder did, released by its unlock. */
	return __builtin_expect(mutex_holder(word) == 0 &&
					atomic_compare_exchange_strong_explicit(
						&m->word, &word, word | self, memory_order_acquire,
						memory_order_relaxed),
				1);
}

/* Frees the mutex if it is the caller's and nobody is to be woken. */
static inline bool mutex_unlock_fast(struct mutex *m, uint64_t self)
{
	uint64_t word = atomic_load_explicit(&m->word, memory_order_relaxed);

	/* release: what the holder did, for the acquire of the next one's lock. */
	return __builtin_expect((word == self || (word == (self | MUTEX_FLAGS) &&
						  ++m->queue.spare % MUTEX_LOOK_EVERY != 0)) &&
					atomic_compare_exchange_strong_explicit(
						&m->word, &word, word & MUTEX_FLAGS,
						memory_order_release, memory_order_relaxed),
				1);
}

/* What is left to do where the fast ones fail. */
int weft__mutex_lock_slow(struct mutex *m, struct worker *w, uint64_t self, int64_t deadline,
			  const char *call);
void weft__mutex_unlock_slow(struct mutex *m, uint64_t self, const char *call);

/*
 * For a node in the mutex's queue, after a wait that had the outcome: gets the mutex, or gives up
 * at the deadline.
 */
int weft__mutex_compete(struct mutex *m, struct mutex_node *node, enum wait_outcome outcome,
			int64_t deadline);

/* Puts a list of claimed nodes to the end of the mutex's queue, to be woken when their turn
 * comes. */
void weft__mutex_adopt(struct mutex *m, struct sync_node *list);

#endif
