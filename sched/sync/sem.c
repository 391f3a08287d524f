/* SPDX-License-Identifier: MIT */
/*
 * The semaphore. The word is the count, or QUEUED while somebody waits; taking from a count and adding to one while
 * nobody waits is one compare-and-swap. While somebody waits a release hands its counts over to the first ones in
 * the queue, so the order is first come, first served, and the count stays 0.
 *
 * Invariants.
 *  1. The word is QUEUED if and only if the queue is not empty; both change under the queue's lock.
 *  2. A node that is claimed has its count: one that gives up was not claimed, and has none.
 *  3. A release's last touch is its addition, or its unlock of the queue when it has handed over all that it had.
 */
#include "queue.h"
#include "self.h"

#include <weft/sync.h>

#define QUEUED ((uint64_t)1 << 63)

struct sem {
	_Atomic uint64_t word;
	struct sync_queue queue;
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

	while (word != 0 && word != QUEUED) {
		/* acquire: what was done before the release that gave it. */
		if (atomic_compare_exchange_weak_explicit(
			    &s->word, &word, word - 1, memory_order_acquire, memory_order_relaxed))
			return true;
	}
	return false;
}

/* Takes one if there is one, else makes known that there will be a queue. */
static bool take_or_queue_locked(struct sem *s)
{
	uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed);

	for (;;) {
		if (word == QUEUED)
			return false;
		uint64_t next = word == 0 ? QUEUED : word - 1;
		/* acquire: as in take(). No wake is lost: a release comes before this, and we get the count, or
		 * after it, and sees the queue. */
		if (atomic_compare_exchange_weak_explicit(
			    &s->word, &word, next, memory_order_acquire, memory_order_relaxed))
			return next != QUEUED;
	}
}

/* After nodes were taken out. */
static void drop_flag_locked(struct sem *s)
{
	/* relaxed: publishes nothing. While it is QUEUED only holders of the lock change it. */
	if (!sync_first(&s->queue) &&
	    atomic_load_explicit(&s->word, memory_order_relaxed) == QUEUED)
		atomic_store_explicit(&s->word, 0, memory_order_relaxed);
}

static int wait_for_count(struct sem *s, int64_t deadline)
{
	struct sync_node node;

	weft__wait_begin(&node.waiter, deadline == WEFT_FOREVER);
	weft__lock(&s->queue.lock);
	bool taken = take_or_queue_locked(s);
	if (!taken)
		sync_push_locked(&s->queue, &node);
	weft__unlock(&s->queue.lock);
	if (taken) {
		weft__wait_abandon(&node.waiter);
		return 0;
	}
	enum wait_outcome outcome = weft__wait(&node.waiter, deadline, true);
	if (outcome != WAIT_WOKEN) {
		weft__lock(&s->queue.lock);
		if (node.queued) {
			sync_remove_locked(&s->queue, &node);
			drop_flag_locked(s);
		}
		weft__unlock(&s->queue.lock);
	}
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

/* Hands out up to n counts; returns how many. The nodes that got one follow in *ret_list. */
static unsigned hand_out_locked(struct sem *s, unsigned n, struct sync_node **ret_list)
{
	struct sync_node *first = NULL, **end = &first, *node = NULL;
	unsigned given = 0;

	while (given < n && (node = sync_take_locked(&s->queue))) {
		*end = node;
		end = &node->next;
		given++;
	}
	*end = NULL;
	/* What is left over too, before the first one wakes: it may free the semaphore. release: as in weft_sem_release(). */
	if (given > 0 && !sync_first(&s->queue)) {
		atomic_store_explicit(&s->word, n - given, memory_order_release);
		given = n;
	}
	drop_flag_locked(s);
	*ret_list = first;
	return given;
}

void weft_sem_release(weft_sem *sem, unsigned n)
{
	struct sem *s = (struct sem *)sem;
	uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed);

	san_release(s);
	while (n > 0) {
		if (word != QUEUED) {
			if (word + n > UINT32_MAX)
				weft__sync_misuse("weft_sem_release", "semaphore", s,
						  "would count beyond 4294967295");
			/* release: what was done before, for the acquire in take(). */
			if (atomic_compare_exchange_weak_explicit(&s->word, &word, word + n,
								  memory_order_release,
								  memory_order_relaxed))
				return;
			continue;
		}
		struct sync_node *list = NULL;
		weft__lock(&s->queue.lock);
		/* Under the lock: who waited may all have given up since. */
		if (sync_first(&s->queue))
			n -= hand_out_locked(s, n, &list);
		weft__unlock(&s->queue.lock);
		if (n > 0)
			word = atomic_load_explicit(&s->word, memory_order_relaxed);
		sync_wake_all(list);
	}
}
