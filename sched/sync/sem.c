/* SPDX-License-Identifier: MIT */
/*
 * The semaphore. Its word is the count and two flags:
 *
 *   word                      state
 *   count                     nobody waits; taking and adding are one compare-and-swap each
 *   count | QUEUED            somebody waits, and the first in line wants more than the count
 *   count | QUEUED | LOCKED   the same, and somebody holds the queue's lock
 *   count | LOCKED            a caller that wants more than the count is about to queue
 *
 * While somebody waits, a release hands its counts to the first waiters in the queue. So the order
 * is first come, first served. A waiter that wants many counts is not starved by waiters that want
 * few. They wait behind it, even if there are enough counts for them.
 *
 * The word is also the queue's lock. So a caller that finds no count is in the queue after one
 * compare-and-swap and one store, and a release takes it out after as many. Like a channel's lock,
 * this lock is released by a store, and nobody sleeps on it (src/base/pause.h). While the word is
 * LOCKED, its bits 32 to 61 hold the holder's mark (src/base/holder.h).
 *
 * Rejected: a lock beside the word. It costs both sides two more read-modify-writes. That is half
 * of what two tasks that take turns pay.
 *
 * Invariants.
 *  1. While the word is LOCKED, only the caller that locked it changes it. So the unlock is a
 *     store.
 *  2. While the word is not LOCKED, it is QUEUED if and only if the queue is not empty.
 *  3. A claimed node has its counts. A waiter that gives up was not claimed and has none. If it was
 *     the first in line, the waiters behind it may now have enough, so it hands out the count.
 *  4. A release's last touch is its change of the word to one that is not LOCKED. From then on
 *     others may take the counts and free the semaphore.
 */
#include "queue.h"
#include "sched/core/patience.h"
#include "self.h"
#include "src/base/compiler.h"

#include "src/base/atomic.h"
#include "src/base/lockcheck.h"
#include "src/base/pause.h"

#include <weft/sync.h>

#define LOCKED ((uint64_t)1 << 63)
#define QUEUED ((uint64_t)1 << 62)

struct sem {
	_Atomic uint64_t word;
	struct sync_queue queue; /* under LOCKED; its own lock is not used */
	_Atomic uint32_t calls;  /* roughly how many calls may have waited (patience.c) */
} __attribute__((may_alias));

static_assert(sizeof(struct sem) <= sizeof(weft_sem), "a semaphore fits its public storage");
static_assert(alignof(struct sem) <= alignof(weft_sem), "a semaphore fits its public storage");
static_assert(offsetof(struct sem, word) == 0, "WEFT_SEM_INIT puts the count there");

struct sem_node {
	struct sync_node n;
	unsigned want; /* immutable: how many counts, at least 1 */
};

static inline uint64_t count_of(uint64_t word)
{
	return (uint32_t)word;
}

void weft_sem_init(weft_sem *sem, unsigned count)
{
	struct sem *s = (struct sem *)sem;

	san_forget(s, sizeof(*s));
	store_relaxed(&s->word, count);
	store_relaxed(&s->calls, 0);
	sync_queue_init(&s->queue);
}

void weft_sem_fini(weft_sem *sem)
{
	struct sem *s = (struct sem *)sem;

	if (sync_first(&s->queue))
		weft__sync_misuse("weft_sem_fini", "semaphore", s, "still has waiters");
	san_forget(s, sizeof(*s));
}

/* Returns whether n can be taken from a word: there are that many, and nobody waits. */
static inline bool has(uint64_t word, unsigned n)
{
	return word >= n && !(word & (LOCKED | QUEUED));
}

/* Takes n, which is at least 1, if that is possible. */
static inline bool take(struct sem *s, unsigned n)
{
	uint64_t word = load_relaxed(&s->word);

	while (has(word, n)) {
		/* acquire: what was done before the release that gave the counts. */
		if (cas_weak_acquire(&s->word, &word, word - n))
			return true;
	}
	return false;
}

/* Waits until nobody has the word locked, and returns it. */
static inline uint64_t await_unlocked(struct sem *s)
{
	/* acquire: the last holder's look at our node, for leave_queue(). Pairs with unlock(). */
	uint64_t word = load_acquire(&s->word);

	for (unsigned looks = 0; unlikely(word & LOCKED); looks++) {
		weft__pause(looks);
		if (unlikely(sync_waits_long(looks)))
			weft__holder_check((uint32_t)(word >> 32 << WEFT__HOLDER_SHIFT) | 1);
		word = load_acquire(&s->word);
	}
	return word;
}

static inline bool lock_from(struct sem *s, uint64_t word)
{
	uint64_t mark = (uint64_t)(weft__holder_mark() >> WEFT__HOLDER_SHIFT) << 32;

	/* acquire: what the last holder wrote, and what came before the counts. Pairs with
	 * unlock(). */
	return WEFT__TAKES_IF(s, WEFT__RANK_SEM,
			      cas_acquire(&s->word, &word, word | LOCKED | mark));
}

static inline void unlock_to(struct sem *s, uint64_t word)
{
	/* release: the critical section, and what was done before the counts. For the acquires of
	 * take() and lock_from(). */
	WEFT__GIVES(s, WEFT__RANK_SEM, store_release(&s->word, word));
}

static inline void unlock(struct sem *s, uint64_t count)
{
	unlock_to(s, count | (sync_first(&s->queue) ? QUEUED : 0));
}

/*
 * Hands the count out to the first waiters in line, as far as it goes. Returns what is left. The
 * nodes that got their counts are linked in *ret_list.
 */
static uint64_t hand_out_locked(struct sem *s, uint64_t count, struct sync_node **ret_list)
{
	struct sync_node **end = ret_list, *node;

	while (count > 0 && (node = sync_first(&s->queue))) {
		unsigned want = ((struct sem_node *)node)->want;
		if (want > count)
			break;
		sync_remove_locked(&s->queue, node);
		if (!sync_claim_locked(node))
			continue;
		*end = node;
		end = &node->next;
		count -= want;
	}
	*end = NULL;
	return count;
}

/* Takes out a node whose wait was not woken, if it is still in. Nobody looks at the node after the
 * return. */
static void leave_queue(struct sem *s, struct sync_node *node)
{
	struct sync_node *list = NULL;
	uint64_t word;

	/* A count that others could take meanwhile must not be locked. Without QUEUED that is such
	 * a count, but then the queue is empty and the node is not in it. */
	while ((word = await_unlocked(s)) & QUEUED) {
		if (!lock_from(s, word))
			continue;
		uint64_t count = count_of(word);
		if (node->queued) {
			sync_remove_locked(&s->queue, node);
			count = hand_out_locked(s, count, &list);
		}
		unlock(s, count);
		sync_wake_all(list);
		return;
	}
}

/* Compiled separately for n = 1, which is the case that benchmarks measure. */
static inline WEFT__MAY_HOP __attribute__((always_inline)) int
wait_for_counts(struct sem *s, unsigned n, int64_t deadline)
{
	struct sem_node node;
	uint64_t word;

	node.want = n;
	weft__wait_begin(&node.n.waiter, deadline == WEFT_FOREVER);
	/* No wake is lost. (a) A release that comes before the lock: we find its count. (b) A
	 * release that comes after the lock: it finds us. */
	do {
		if (take(s, n)) {
			weft__wait_abandon(&node.n.waiter);
			return 0;
		}
		word = await_unlocked(s);
	} while ((!(word & QUEUED) && word >= n) || !lock_from(s, word));
	sync_push_locked(&s->queue, &node.n);
	unlock_to(s, word | QUEUED);
	enum wait_outcome outcome = weft__wait(&node.n.waiter, deadline, true);
	if (outcome != WAIT_WOKEN)
		leave_queue(s, &node.n);
	return wait_errno(outcome);
}

static WEFT__MAY_HOP __attribute__((noinline)) int wait_for_one(struct sem *s, int64_t deadline)
{
	return wait_for_counts(s, 1, deadline);
}

static WEFT__MAY_HOP __attribute__((noinline)) int wait_for_many(struct sem *s, unsigned n,
								 int64_t deadline)
{
	return wait_for_counts(s, n, deadline);
}

/* Counts a call that may wait and need not. This comes before it takes, because the semaphore may
 * be gone afterwards. */
static inline WEFT__MAY_HOP void count_call(struct sem *s)
{
	/* relaxed, both: they only decide how often the caller looks at other tasks. */
	uint32_t call = load_relaxed(&s->calls) + 1;

	store_relaxed(&s->calls, call);
	if (unlikely(call % WEFT__PATIENCE == 0))
		weft__fast_path_in_object();
}

static inline WEFT__MAY_HOP __attribute__((always_inline)) int
acquire_until(struct sem *s, unsigned n, int64_t deadline)
{
	/* relaxed: a hint. */
	if (has(load_relaxed(&s->word), n)) {
		/* Other calls do not look at tasks. If they were counted, the calls that look could
		 * fall into step with the count. */
		if (deadline > 0)
			count_call(s);
		if (likely(take(s, n))) {
			san_acquire(s);
			return 0;
		}
	}
	if (deadline <= 0)
		return -ETIMEDOUT;
#ifdef WEFT_TSAN_USER
	int rc = n == 1 ? wait_for_one(s, deadline) : wait_for_many(s, n, deadline);
	if (rc == 0)
		san_acquire(s);
	return rc;
#else
	return n == 1 ? wait_for_one(s, deadline) : wait_for_many(s, n, deadline);
#endif
}

WEFT__MAY_HOP int weft_sem_acquire(weft_sem *sem)
{
	return weft_sem_acquire_until(sem, WEFT_FOREVER);
}

WEFT__MAY_HOP int weft_sem_acquire_until(weft_sem *sem, int64_t deadline)
{
	return acquire_until((struct sem *)sem, 1, deadline);
}

WEFT__MAY_HOP int weft_sem_acquire_n(weft_sem *sem, unsigned n)
{
	return weft_sem_acquire_n_until(sem, n, WEFT_FOREVER);
}

WEFT__MAY_HOP int weft_sem_acquire_n_until(weft_sem *sem, unsigned n, int64_t deadline)
{
	return n == 0 ? 0 : acquire_until((struct sem *)sem, n, deadline);
}

int weft_sem_try_acquire(weft_sem *sem)
{
	struct sem *s = (struct sem *)sem;

	if (!take(s, 1))
		return -EAGAIN;
	san_acquire(s);
	return 0;
}

unsigned weft_sem_value(const weft_sem *sem)
{
	const struct sem *s = (const struct sem *)sem;

	/* relaxed: the value may be another one at once, and publishes nothing. */
	return (unsigned)count_of(load_relaxed(&s->word));
}

static _Noreturn __attribute__((cold)) void count_misuse(struct sem *s)
{
	weft__sync_misuse("weft_sem_release", "semaphore", s, "would count beyond 4294967295");
}

/* This and release_one_locked() unlock. */
static __attribute__((noinline)) void release_many_locked(struct sem *s, uint64_t count)
{
	struct sync_node *list;
	uint64_t left = hand_out_locked(s, count, &list);

	if (left > UINT32_MAX)
		count_misuse(s);
	unlock(s, left);
	sync_wake_all(list);
}

/* The count was 0. */
static inline void release_one_locked(struct sem *s)
{
	struct sync_node *node = sync_first(&s->queue);

	if (likely(((struct sem_node *)node)->want == 1)) {
		sync_remove_locked(&s->queue, node);
		if (likely(sync_claim_locked(node))) {
			unlock(s, 0);
			weft__wait_wake(weft__wakeup_of(&node->waiter));
			return;
		}
	}
	release_many_locked(s, 1);
}

static __attribute__((noinline)) void release(struct sem *s, unsigned n)
{
	san_release(s);
	for (;;) {
		uint64_t word = await_unlocked(s);
		if (word & QUEUED) {
			if (!lock_from(s, word))
				continue;
			release_many_locked(s, count_of(word) + n);
			return;
		}
		if (word + n > UINT32_MAX)
			count_misuse(s);
		/* release: what was done before, for the acquire in take(). */
		if (cas_weak_release(&s->word, &word, word + n))
			return;
	}
}

/* The usual paths make no call that returns, so they save no registers. */
void weft_sem_release(weft_sem *sem, unsigned n)
{
	struct sem *s = (struct sem *)sem;

	/* relaxed: lock_from() orders what must be ordered. */
	uint64_t word = load_relaxed(&s->word);
	if (n == 1 && word == QUEUED && lock_from(s, word)) {
		san_release(s);
		release_one_locked(s);
	} else if (n != 0) {
		release(s, n);
	}
}
