/* SPDX-License-Identifier: MIT */
/*
 * The semaphore. Its word is the count and two flags:
 *
 *   count                     nobody waits; taking and adding is one compare-and-swap
 *   count | QUEUED            somebody waits, and the first in line wants more than the count
 *   count | QUEUED | LOCKED   the same, and the lock of the queue is held
 *   count | LOCKED            somebody who wants more than the count is about to queue
 *
 * While somebody waits a release hands its counts over to the first ones in the queue, so the order
 * is first come, first served. One that wants many is not starved by others that want few: these
 * wait behind it, though there may be counts enough for them.
 *
 * The word is the queue's lock, so that who finds no count is in the queue after one
 * compare-and-swap and one store, and a release out of it after as many. (Rejected: a lock beside
 * the word. It costs both sides two more read-modify-writes, which is half of what two tasks that
 * take turns pay.) Like a channel's, the lock is unlocked by a store, and nobody sleeps on it
 * (sched/os/pause.h). While it is LOCKED the word also has the holder's mark (src/holder.h), in
 * bits 32 to 61.
 *
 * Invariants.
 *  1. While the word is LOCKED nobody but who has locked it changes it; so the unlock is a store.
 *  2. While it is not, it is QUEUED if and only if the queue is not empty.
 *  3. A node that is claimed has its counts: one that gives up was not claimed, and has none. If it
 *     was the first in line, those behind it may have enough now, and it hands out the count.
 *  4. A release's last touch is its change of the word to one that is not LOCKED. (What it had may
 *     be taken then, and the semaphore freed.)
 */
#include "queue.h"
#include "sched/core/patience.h"
#include "self.h"

#include "sched/os/pause.h"

#include <weft/sync.h>

#define LOCKED ((uint64_t)1 << 63)
#define QUEUED ((uint64_t)1 << 62)

struct sem {
	_Atomic uint64_t word;
	struct sync_queue queue; /* under LOCKED; its own lock is not used */
	_Atomic uint32_t calls;  /* that may have waited; roughly (patience.c) */
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
	atomic_store_explicit(&s->word, count, memory_order_relaxed);
	atomic_store_explicit(&s->calls, 0, memory_order_relaxed);
	sync_queue_init(&s->queue);
}

void weft_sem_fini(weft_sem *sem)
{
	struct sem *s = (struct sem *)sem;

	if (sync_first(&s->queue))
		weft__sync_misuse("weft_sem_fini", "semaphore", s, "is waited for");
	san_forget(s, sizeof(*s));
}

/* Whether n can be taken from a word: there are so many, and nobody waits. */
static inline bool has(uint64_t word, unsigned n)
{
	return word >= n && !(word & (LOCKED | QUEUED));
}

/* Takes n, at least 1, if that is possible. */
static inline bool take(struct sem *s, unsigned n)
{
	uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed);

	while (has(word, n)) {
		/* acquire: what was done before the release that gave it. */
		if (atomic_compare_exchange_weak_explicit(
			    &s->word, &word, word - n, memory_order_acquire, memory_order_relaxed))
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
		if (__builtin_expect(sync_waits_long(looks), 0))
			weft__holder_check((uint32_t)(word >> 32 << WEFT__HOLDER_SHIFT) | 1);
		word = atomic_load_explicit(&s->word, memory_order_acquire);
	}
	return word;
}

static inline bool lock_from(struct sem *s, uint64_t word)
{
	uint64_t mark = (uint64_t)(weft__holder_mark() >> WEFT__HOLDER_SHIFT) << 32;

	/* acquire: what the last holder wrote, and what came before the counts; pairs with
	 * unlock(). */
	return atomic_compare_exchange_strong_explicit(&s->word, &word, word | LOCKED | mark,
						       memory_order_acquire, memory_order_relaxed);
}

static inline void unlock_to(struct sem *s, uint64_t word)
{
	/* release: the critical section, and what was done before the counts, for the acquires of
	 * take() and lock_from(). */
	atomic_store_explicit(&s->word, word, memory_order_release);
}

static inline void unlock(struct sem *s, uint64_t count)
{
	unlock_to(s, count | (sync_first(&s->queue) ? QUEUED : 0));
}

/*
 * Hands the count out to the first in line, as far as it goes; returns what is left. The nodes that
 * got theirs follow in *ret_list.
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

/* Takes a node out whose wait was not woken, if it still is in. After the return nobody looks at
 * it. */
static void leave_queue(struct sem *s, struct sync_node *node)
{
	struct sync_node *list = NULL;
	uint64_t word;

	/* Nobody may lock a count that others could take meanwhile; but then the queue is empty,
	 * and the node is not in it. */
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

/* Compiled anew for n = 1, which is what is measured. */
static inline __attribute__((always_inline)) int wait_for_counts(struct sem *s, unsigned n,
								 int64_t deadline)
{
	struct sem_node node;
	uint64_t word;

	node.want = n;
	weft__wait_begin(&node.n.waiter, deadline == WEFT_FOREVER);
	/* No wake is lost: a release comes before the lock, and we find its count, or after it, and
	 * finds us. */
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

static __attribute__((noinline)) int wait_for_one(struct sem *s, int64_t deadline)
{
	return wait_for_counts(s, 1, deadline);
}

static __attribute__((noinline)) int wait_for_many(struct sem *s, unsigned n, int64_t deadline)
{
	return wait_for_counts(s, n, deadline);
}

/* Counts a call that may wait and need not, before it takes: afterwards the semaphore may be gone. */
static inline void count_call(struct sem *s)
{
	/* relaxed, both: only how often the caller looks at other tasks follows from it. */
	uint32_t call = atomic_load_explicit(&s->calls, memory_order_relaxed) + 1;

	atomic_store_explicit(&s->calls, call, memory_order_relaxed);
	if (__builtin_expect(call % WEFT__PATIENCE == 0, 0))
		weft__fast_path_in_object();
}

static inline __attribute__((always_inline)) int acquire_until(struct sem *s, unsigned n,
							       int64_t deadline)
{
	/* relaxed: a hint. */
	if (has(atomic_load_explicit(&s->word, memory_order_relaxed), n)) {
		/* The others do not look, and those that do could come in step with a count of all. */
		if (deadline > 0)
			count_call(s);
		if (__builtin_expect(take(s, n), 1)) {
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

int weft_sem_acquire(weft_sem *sem)
{
	return weft_sem_acquire_until(sem, WEFT_FOREVER);
}

int weft_sem_acquire_until(weft_sem *sem, int64_t deadline)
{
	return acquire_until((struct sem *)sem, 1, deadline);
}

int weft_sem_acquire_n(weft_sem *sem, unsigned n)
{
	return weft_sem_acquire_n_until(sem, n, WEFT_FOREVER);
}

int weft_sem_acquire_n_until(weft_sem *sem, unsigned n, int64_t deadline)
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

	/* relaxed: it may be another one at once, and publishes nothing. */
	return (unsigned)count_of(atomic_load_explicit(&s->word, memory_order_relaxed));
}

static _Noreturn __attribute__((cold)) void count_misuse(struct sem *s)
{
	weft__sync_misuse("weft_sem_release", "semaphore", s, "would count beyond 4294967295");
}

/* These two unlock. */
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

	if (__builtin_expect(((struct sem_node *)node)->want == 1, 1)) {
		sync_remove_locked(&s->queue, node);
		if (__builtin_expect(sync_claim_locked(node), 1)) {
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
		if (atomic_compare_exchange_weak_explicit(
			    &s->word, &word, word + n, memory_order_release, memory_order_relaxed))
			return;
	}
}

/* The usual ways make no call that returns, so they save no registers. */
void weft_sem_release(weft_sem *sem, unsigned n)
{
	struct sem *s = (struct sem *)sem;

	/* relaxed: lock_from() has what is needed. */
	uint64_t word = atomic_load_explicit(&s->word, memory_order_relaxed);
	if (n == 1 && word == QUEUED && lock_from(s, word)) {
		san_release(s);
		release_one_locked(s);
	} else if (n != 0) {
		release(s, n);
	}
}
