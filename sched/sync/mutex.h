/* SPDX-License-Identifier: MIT */
/*
 * The mutex, as mutex.c and cond.c share it. A condition moves its waiters into the mutex's queue.
 *
 * The word names the holder. Uncontended, a lock and an unlock are one compare-and-swap each.
 * Misuse is found at no cost: an unlock by anyone but the holder finds a word that it does not
 * expect.
 *
 *   word                       state of the mutex
 *   0                          free, nobody waits
 *   holder                     held, nobody waits
 *   holder | QUEUED            held; the unlock wakes the first in the queue
 *   holder | QUEUED | WOKEN    held; the first in the queue is awake and tries to get it
 *            QUEUED | WOKEN    free; the first in the queue is awake and tries to get it
 *
 * Invariants.
 *  1. QUEUED means that the queue is not empty. Both change under the queue's lock.
 *  2. A mutex that is free and QUEUED is also WOKEN: a waiter is on its way. So no unlock misses a
 *     wake.
 *  3. The word does not change while the mutex is held, is QUEUED and not WOKEN, and its holder has
 *     the queue's lock.
 *  4. The unlock's last touch of the mutex is normally the store that frees the word or hands it
 *     over. If the queue holds a node whose waiter must take the queue's lock before it returns,
 *     the last touch is the unlock of that lock.
 *
 * The design is barging with a limit. The first caller that comes takes a free mutex. A woken
 * waiter stays at the head of the queue until it has the mutex. The next unlock hands the mutex to
 * that waiter in two cases: (a) it has lost again after waiting for PATIENCE_NS; (b) it was woken,
 * and did not get to run for that long while others came and went.
 *
 * Rejected: barging alone, because a waiter can starve. Rejected: handing the mutex over at each
 * unlock. Under contention every unlock is then a switch or a wake on another CPU, which is a
 * hundred times slower.
 */
#ifndef WEFT_SYNC_MUTEX_H
#define WEFT_SYNC_MUTEX_H

#include "queue.h"
#include "self.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"

#include <weft/sync.h>

#define MUTEX_QUEUED ((uint64_t)1)
#define MUTEX_WOKEN  ((uint64_t)2)
#define MUTEX_FLAGS  (MUTEX_QUEUED | MUTEX_WOKEN)

/* One unlock in this many checks whether the woken waiter has run out of patience. */
#define MUTEX_LOOK_EVERY 64

static_assert(MUTEX_FLAGS == IDENTITY_FREE_BITS, "the flags fit beside an identity");

struct mutex {
	_Atomic uint64_t word;
	/* A hint for callers that spin: the holder's worker, and that worker's number of picks when
	 * the holder locked. 0 means unknown. */
	_Atomic uint64_t held_at;
	/* .user: how often the mutex was freed since the first waiter was woken; the holder's */
	struct sync_queue queue;
} __attribute__((may_alias));

static_assert(sizeof(struct mutex) <= sizeof(weft_mutex), "a mutex fits its public storage");
static_assert(alignof(struct mutex) <= alignof(weft_mutex), "a mutex fits its public storage");

enum mutex_wait {
	MUTEX_ASLEEP,  /* still to be claimed and woken */
	MUTEX_CLAIMED, /* claimed by a condition's signal; the mutex must wake it */
	MUTEX_AWAKE,   /* woken, to get the mutex or wait again; the head */
};

struct mutex_node {
	struct sync_node n;
	uint64_t self; /* immutable */

	/* under the queue's lock */
	enum mutex_wait state;
	bool overdue;  /* the next unlock must hand it the mutex */
	bool granted;  /* it holds the mutex */
	bool moved;    /* a condition moved it here; stored by the claimer before the wake */
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

/* Called by the holder, which runs on w. */
static inline void mutex_note_holder(struct mutex *m, struct worker *w)
{
	/* relaxed, both: hints */
	if (w)
		store_relaxed(&m->held_at, w->holder_hint | load_relaxed(&w->picks));
}

/* Takes the mutex if it is free, even if others wait for it. */
static inline bool mutex_lock_fast(struct mutex *m, uint64_t self)
{
	/* relaxed: the compare-and-swap decides. Looking first saves a failing compare-and-swap. */
	uint64_t word = load_relaxed(&m->word);

	/* acquire: what the last holder did, released by its unlock. */
	return likely(mutex_holder(word) == 0 && cas_acquire(&m->word, &word, word | self));
}

/* Frees the mutex if the caller holds it and need not wake anybody. */
static inline bool mutex_unlock_fast(struct mutex *m, uint64_t self)
{
	uint64_t word = load_relaxed(&m->word);

	/* release: what the holder did, for the acquire of the next lock. */
	return likely((word == self ||
		       (word == (self | MUTEX_FLAGS) && ++m->queue.user % MUTEX_LOOK_EVERY != 0)) &&
		      cas_release(&m->word, &word, word & MUTEX_FLAGS));
}

/* The rest of locking and unlocking, for when the fast functions fail. */
WEFT__MAY_HOP int weft__mutex_lock_slow(struct mutex *m, struct worker *w, uint64_t self,
					int64_t deadline, const char *call);
void weft__mutex_unlock_slow(struct mutex *m, uint64_t self, const char *call);

/*
 * Gets the mutex for a node in its queue after a wait that had this outcome, or gives up at the
 * deadline.
 */
WEFT__MAY_HOP int weft__mutex_compete(struct mutex *m, struct mutex_node *node,
				      enum wait_outcome outcome, int64_t deadline);

/* Appends a list of claimed nodes to the mutex's queue. Each is woken when its turn comes. */
void weft__mutex_adopt(struct mutex *m, struct sync_node *list);

#endif
