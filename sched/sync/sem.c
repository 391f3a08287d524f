/* SPDX-License-Identifier: MIT */
/*
 * The semaphore. Its word is the count and two flags:
 *
 *   count             nobody waits; taking and adding is one compare-and-swap
 *   QUEUED            somebody waits, and the count is 0
 *   LOCKED | QUEUED   the same, and the lock of the queue is held
 *   LOCKED            the count is 0, and somebody is about to queue
 *
 * While somebody waits a release hands its counts over to the first ones in the queue, so the order
 * is first come, first served.
 *
 * The word is the queue's lock, so that who finds no count is in the queue after one
 * compare-and-swap and one store, and a release out of it after as many. (Rejected: a lock beside
 * the word. It costs both sides two more read-modify-writes, which is half of what two tasks that
 * take turns pay.) Like a channel's, the lock is unlocked by a store, and nobody sleeps on it
 * (sched/os/pause.h).
 *
 * Invariants.
 *  1. While the word is LOCKED nobody but who has locked it changes it; so the unlock is a store.
 *  2. While it is not, it is QUEUED if and only if the queue is not empty.
 *  3. A node that is claimed has its count: one that gives up was not claimed, and has none.
 *  4. A release's last touch is its change of the word to one that is not LOCKED. (What it had may
 *     be taken then, and the semaphore freed.)
 */
#include "queue.h"
#include "self.h"

#include "sched/os/pause.h"

#include <weft/sync.h>

#define LOCKED ((uint64_t)1 << 63)
#define QUEUED ((uint64_t)1 << 62)

struct sem {
	_Atomic uint64_t word;
	struct sync_queue queue; /* under LOCKED; its own lock is not used */
} __attribute__((may_alias));

static_assert(sizeof(struct sem) <= sizeof(weft_sem), "a semaphore fits its public storage");
static_assert(alignof(struct sem) <= alignof(weft_sem), "a semaphore fits its public storage");
static_assert(offsetof(struct sem, word) == 0, "WEFT_SEM_INIT puts the count there");

void weft_sem_init(weft_sem *sem, unsigned count)
{
	struct sem *s = (struct sem *)sem;

	san_forget(s, sizeof(*s));
	atomic_store_explicit(&s->word, count, memory_order_relaxed);
	sync_queue_init(&s->queue);
}

void weft_sem_fini(weft_sem *sem)
{
	struct sem *s = (struct sem *)sem;

	if (sync_first(&s->queue))
		weft__sync_misuse("weft_sem_fini", "semaphore", s, "is waited for");
	san_forget(s, sizeof(*s));
}

/* Takes one if there is one. */
static inline bool take(struct sem *s)
{
	uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed);

	while (word != 0 && !(word & (LOCKED | QUEUED))) {
		/* acquire: what was done before the release that gave it. */
		if (atomic_compare_exchange_weak_explicit(
			    &s->word, &word, word - 1, memory_order_acquire, memory_order_relaxed))
			return true;
	}
	return false;
}

/* The word, when nobody has it locked. */
static inline uint64_t await_unlocked(struct sem *s)
{
	/* acquire: the last holder's look at our node, for leave_queue(); pairs with unlock(). */
	uint64_t word = atomic_load_explicit(&s->word, memory_order_acquire);

	for (unsigned looks = 0; __builtin_expect(word & LOCKED, 0); looks++) {
		weft__pause(looks);
		word = atomic_load_explicit(&s->word, memory_order_acquire);
	}
	return word;
}

static inline bool lock_from(struct sem *s, uint64_t word)
{
	/* acquire: what the last holder wrote, and what came before the counts; pairs with
	 * unlock(). */
	return atomic_compare_exchange_strong_explicit(&s->word, &word, word | LOCKED,
						       memory_order_acquire, memory_order_relaxed);
}

/* count: not 0 only if the queue is empty. */
static inline void unlock(struct sem *s, uint64_t count)
{
	/* release: the critical section, and what was done before the counts, for the acquires of
	 * take() and lock_from(). */
	atomic_store_explicit(&s->word, sync_first(&s->queue) ? QUEUED : count,
			      memory_order_release);
}

/* Takes a node out whose wait was not woken, if it still is in. After the return nobody looks at
 * it. */
static void leave_queue(struct sem *s, struct sync_node *node)
{
	/* Nobody may lock a count that others could take meanwhile; but then the queue is empty,
	 * and the node is not in it. */
	while (await_unlocked(s) == QUEUED) {
		if (!lock_from(s, QUEUED))
			continue;
		if (node->queued)
			sync_remove_locked(&s->queue, node);
		unlock(s, 0);
		return;
	}
}

static int wait_for_count(struct sem *s, int64_t deadline)
{
	struct sync_node node;
	uint64_t word;

	weft__wait_begin(&node.waiter, deadline == WEFT_FOREVER);
	/* No wake is lost: a release comes before the lock, and we find its count, or after it, and
	 * finds us. */
	do {
		if (take(s)) {
			weft__wait_abandon(&node.waiter);
			return 0;
		}
		word = await_unlocked(s);
	} while ((word != 0 && word != QUEUED) || !lock_from(s, word));
	sync_push_locked(&s->queue, &node);
	unlock(s, 0);
	enum wait_outcome outcome = weft__wait(&node.waiter, deadline, true);
	if (outcome != WAIT_WOKEN)
		leave_queue(s, &node);
	return sync_errno(outcome);
}

int weft_sem_acquire(weft_sem *sem)
{
	return weft_sem_acquire_until(sem, WEFT_FOREVER);
}

int weft_sem_acquire_until(weft_sem *sem, int64_t deadline)
{
	struct sem *s = (struct sem *)sem;

	if (!take(s)) {
		int rc = deadline <= 0 ? -ETIMEDOUT : wait_for_count(s, deadline);
		if (rc < 0)
			return rc;
	}
	san_acquire(s);
	return 0;
}

int weft_sem_try_acquire(weft_sem *sem)
{
	struct sem *s = (struct sem *)sem;

	if (!take(s))
		return -EAGAIN;
	san_acquire(s);
	return 0;
}

/*
 * Hands out up to n counts; returns how many. The nodes that got one follow in *ret_list.
 */
static unsigned hand_out_locked(struct sem *s, unsigned n, struct sync_node **ret_list)
{
	struct sync_node **end = ret_list, *node;
	unsigned given = 0;

	while (given < n && (node = sync_take_locked(&s->queue))) {
		*end = node;
		end = &node->next;
		given++;
	}
	*end = NULL;
	return given;
}

/* These two unlock. What is left over goes to the count: then the queue is empty. */
static __attribute__((noinline)) void release_many_locked(struct sem *s, unsigned n)
{
	struct sync_node *list;

	unlock(s, n - hand_out_locked(s, n, &list));
	sync_wake_all(list);
}

static inline void release_one_locked(struct sem *s)
{
	struct sync_node *node = sync_take_locked(&s->queue);

	unlock(s, node ? 0 : 1);
	if (node)
		weft__wait_wake(weft__wakeup_of(&node->waiter));
}

void weft_sem_release(weft_sem *sem, unsigned n)
{
	struct sem *s = (struct sem *)sem;

	if (n == 0)
		return;
	san_release(s);
	for (;;) {
		uint64_t word = await_unlocked(s);
		if (word == QUEUED) {
			if (!lock_from(s, word))
				continue;
			if (__builtin_expect(n == 1, 1))
				release_one_locked(s);
			else
				release_many_locked(s, n);
			return;
		}
		if (word + n > UINT32_MAX)
			weft__sync_misuse("weft_sem_release", "semaphore", s,
					  "would count beyond 4294967295");
		/* release: what was done before, for the acquire in take(). */
		if (atomic_compare_exchange_weak_explicit(
			    &s->word, &word, word + n, memory_order_release, memory_order_relaxed))
			return;
	}
}
