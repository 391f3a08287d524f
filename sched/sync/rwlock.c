/* SPDX-License-Identifier: MIT */
/*
 * The read-write lock. While nobody waits, entering takes one compare-and-swap on the word, and so
 * does leaving. The word is one of:
 *
 *   READER * readers | QUEUED | UPGRADE      readers only, or nobody
 *   WRITER | QUEUED                          one writer
 *
 * QUEUED and UPGRADE are flags that may be missing.
 *
 * A caller that cannot enter waits in one queue for both kinds, first come, first served. It is
 * handed the lock, so neither kind can starve the other. Readers that stand next to each other
 * enter together.
 *
 * Rejected: readers that pass waiting writers, or writers that pass waiting readers. One kind
 * starves. Rejected: barging, as in the mutex. A writer would have to win against all readers at
 * once.
 *
 * Invariants.
 *  1. QUEUED means that the queue is not empty. Both change under the queue's lock.
 *  2. While the word is QUEUED, somebody holds the lock, and nobody enters without being let in.
 *     The last holder leaves under the queue's lock. So each waiter is let in by a caller that
 *     leaves, and no wake is missing.
 *  3. A caller that is let in was claimed, and is a holder from then on. Only its wake is still to
 *     come.
 *  4. UPGRADE means that the first in the queue is a reader that wants to write. It stands before
 *     all others, because it holds what they wait for. The last reader beside it leaves under the
 *     queue's lock and lets it in. There is at most one: of two, neither would ever be alone.
 */
#include "queue.h"
#include "sched/core/patience.h"
#include "self.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"

#include <weft/sync.h>

#define WRITER  ((uint64_t)1)
#define QUEUED  ((uint64_t)2)
#define UPGRADE ((uint64_t)4)
#define READER  ((uint64_t)8)

struct rwlock {
	_Atomic uint64_t word;
	_Atomic uint64_t
		/* Who holds the lock for writing. 0: nobody, or not known yet. Stored by the
		 * writer, or by the caller that lets it in. */
		writer;
	struct sync_queue queue;
} __attribute__((may_alias));

static_assert(sizeof(struct rwlock) <= sizeof(weft_rwlock), "a lock fits its public storage");
static_assert(alignof(struct rwlock) <= alignof(weft_rwlock), "a lock fits its public storage");

struct rwlock_node {
	struct sync_node n;
	uint64_t self; /* immutable, both */
	bool write;
};

/*
 * ThreadSanitizer's edges. The address of .word stands for what writers did, and that of .writer
 * for what readers did. With a single address, one reader would seem to be ordered before the next.
 */
static inline void edges_enter(struct rwlock *rw, bool write)
{
	san_acquire(&rw->word);
	if (write)
		san_acquire(&rw->writer);
}

/* relaxed, both: only compared with the caller's own identity. */
static inline bool writes(struct rwlock *rw, uint64_t self)
{
	return load_relaxed(&rw->writer) == self;
}

static inline void set_writer(struct rwlock *rw, uint64_t writer)
{
	store_relaxed(&rw->writer, writer);
}

/* Enters if it can do so without waiting. */
static inline bool enter(struct rwlock *rw, bool write, uint64_t self)
{
	uint64_t word = load_relaxed(&rw->word);

	while (write ? word == 0 : !(word & (WRITER | QUEUED))) {
		/* acquire: what earlier holders did, released when they left. */
		if (cas_weak_acquire(&rw->word, &word, write ? WRITER : word + READER)) {
			if (write)
				set_writer(rw, self);
			return true;
		}
	}
	return false;
}

/* Enters, or makes sure that the last holder looks into the queue when it leaves. */
static bool enter_or_queue_locked(struct rwlock *rw, bool write, uint64_t self)
{
	while (!enter(rw, write, self)) {
		uint64_t word = load_relaxed(&rw->word);
		if (word & QUEUED)
			return false;
		/* relaxed: publishes nothing. */
		if ((write ? word != 0 : word & WRITER) &&
		    cas_relaxed(&rw->word, &word, word | QUEUED))
			return false;
	}
	return true;
}

/*
 * Takes out of the queue the waiters that may enter: beside this many readers, or as the only
 * writer. Returns the word that says so. The caller must wake the list.
 */
static uint64_t let_in_locked(struct rwlock *rw, uint64_t readers, struct sync_node **ret_list)
{
	struct sync_node *first = NULL, **end = &first, *node;
	uint64_t word = 0;

	while (word == 0 && (node = sync_first(&rw->queue))) {
		struct rwlock_node *rwnode = (struct rwlock_node *)node;
		if (rwnode->write && readers > 0)
			break;
		sync_remove_locked(&rw->queue, node);
		if (!sync_claim_locked(node))
			continue;
		*end = node;
		end = &node->next;
		if (rwnode->write) {
			set_writer(rw, rwnode->self);
			word = WRITER;
		} else {
			readers++;
		}
	}
	*end = NULL;
	*ret_list = first;
	return word + readers * READER + (sync_first(&rw->queue) ? QUEUED : 0);
}

/* After a node gave up: that node may have kept the nodes behind it from entering. */
static struct sync_node *after_leaving_locked(struct rwlock *rw)
{
	struct sync_node *list = NULL;

	/* relaxed: by invariant 2 the lock is held, and stays held by the same kind. */
	if (!(load_relaxed(&rw->word) & WRITER)) {
		uint64_t let_in = let_in_locked(rw, 1, &list) - READER; /* beside those that read */
		/* acquire: what writers did. It goes on, through their wake, to the callers that
		 * are let in: this caller has not held the lock. An addition, not a store: what the
		 * readers release must reach the next writer. */
		fetch_add_acquire(&rw->word, let_in & ~QUEUED);
	}
	if (!sync_first(&rw->queue))
		fetch_and_relaxed(&rw->word, ~QUEUED);
	return list;
}

static WEFT__MAY_HOP int enter_slow(struct rwlock *rw, bool write, uint64_t self, int64_t deadline,
				    const char *call)
{
	struct rwlock_node node = {.self = self, .write = write};
	struct sync_node *list = NULL;

	if (writes(rw, self))
		weft__sync_misuse(call, "read-write lock", rw,
				  "is held for writing by the caller already");
	if (deadline <= 0)
		return -ETIMEDOUT;
	weft__wait_begin(&node.n.waiter, deadline == WEFT_FOREVER);
	sync_lock(&rw->queue.lock);
	if (enter_or_queue_locked(rw, write, self)) {
		sync_unlock(&rw->queue.lock);
		weft__wait_abandon(&node.n.waiter);
		return 0;
	}
	sync_push_locked(&rw->queue, &node.n);
	sync_unlock(&rw->queue.lock);
	enum wait_outcome outcome = weft__wait(&node.n.waiter, deadline, false);
	if (outcome != WAIT_WOKEN) {
		sync_lock(&rw->queue.lock);
		if (node.n.queued) {
			sync_remove_locked(&rw->queue, &node.n);
			list = after_leaving_locked(rw);
		}
		sync_unlock(&rw->queue.lock);
		sync_wake_all(list);
	}
	return wait_errno(outcome);
}

static inline WEFT__MAY_HOP int lock_until(weft_rwlock *rwlock, bool write, int64_t deadline,
					   const char *call)
{
	struct rwlock *rw = (struct rwlock *)rwlock;
	struct worker *w = weft__worker();
	uint64_t self = identity_on(w);

	if (w && deadline > 0)
		w = fast_path(w);
	if (!enter(rw, write, self)) {
		int rc = enter_slow(rw, write, self, deadline, call);
		if (rc < 0)
			return rc;
	}
	edges_enter(rw, write);
	return 0;
}

static inline int trylock(weft_rwlock *rwlock, bool write)
{
	struct rwlock *rw = (struct rwlock *)rwlock;

	if (!enter(rw, write, identity_on(weft__worker())))
		return -EBUSY;
	edges_enter(rw, write);
	return 0;
}

/* The word at which a caller that leaves must let others in. */
static inline uint64_t last_word(uint64_t word, uint64_t held)
{
	return word & UPGRADE ? 2 * READER | QUEUED | UPGRADE : held | QUEUED;
}

/* The last reader beside the one that wants to write leaves. Nobody else changes the word now. */
static void let_upgrade_in_locked(struct rwlock *rw, struct sync_node **ret_list)
{
	struct sync_node *node = sync_first(&rw->queue);
	uint64_t word;

	sync_remove_locked(&rw->queue, node);
	if (sync_claim_locked(node)) {
		set_writer(rw, ((struct rwlock_node *)node)->self);
		node->next = NULL;
		*ret_list = node;
		word = WRITER | (sync_first(&rw->queue) ? QUEUED : 0);
	} else { /* it has given up, and is an ordinary reader */
		word = let_in_locked(rw, 1, ret_list);
	}
	/* release: what the readers did, for the acquire in enter(). */
	store_release(&rw->word, word);
}

/*
 * The last holder leaves while somebody waits, and lets the next ones in. `held` is the word that
 * the caller makes alone; the word goes back to it if all waiters have given up. Returns whether
 * the caller has left.
 */
static bool leave_locked(struct rwlock *rw, uint64_t held, struct sync_node **ret_list)
{
	/* acquire: what earlier readers released, which must reach the next holder. */
	uint64_t word = load_acquire(&rw->word);

	*ret_list = NULL;
	if (word != last_word(word, held))
		return false;
	if (word & UPGRADE) {
		let_upgrade_in_locked(rw, ret_list);
		return true;
	}
	word = let_in_locked(rw, 0, ret_list);
	bool left = *ret_list != NULL;
	/* release: what the holders did, for the acquire in enter(). */
	store_release(&rw->word, left ? word : held);
	return left;
}

static _Noreturn __attribute__((cold)) void not_owner(struct rwlock *rw, uint64_t word,
						      const char *call, const char *what)
{
	uint64_t writer = load_relaxed(&rw->writer);

	if (word & WRITER && writer == 0) /* the writer has just come, or is about to go */
		weft__sync_misuse(call, "read-write lock", rw, what);
	weft__sync_not_owner(call, "read-write lock", rw, what, word & WRITER ? writer : 0);
}

static void unlock_word(struct rwlock *rw, uint64_t held, const char *call)
{
	uint64_t word = load_relaxed(&rw->word);

	for (;;) {
		if (word < held || (held == READER && word & WRITER))
			not_owner(rw, word, call, "is not held by the caller");
		if (word != last_word(word, held)) {
			/* release: what the holder did, for the acquire in enter(). Readers that
			 * leave later carry it on. */
			if (cas_weak_release(&rw->word, &word, word - held))
				return;
			continue;
		}
		struct sync_node *list;
		sync_lock(&rw->queue.lock);
		bool left = leave_locked(rw, held, &list);
		sync_unlock(&rw->queue.lock);
		sync_wake_all(list);
		if (left)
			return;
		word = load_relaxed(&rw->word);
	}
}

void weft_rwlock_init(weft_rwlock *rwlock)
{
	struct rwlock *rw = (struct rwlock *)rwlock;

	san_forget(rw, sizeof(*rw));
	/* relaxed: the caller publishes the object. */
	store_relaxed(&rw->word, 0);
	set_writer(rw, 0);
	sync_queue_init(&rw->queue);
}

void weft_rwlock_fini(weft_rwlock *rwlock)
{
	struct rwlock *rw = (struct rwlock *)rwlock;
	uint64_t word = load_relaxed(&rw->word);

	if (word & QUEUED)
		weft__sync_misuse("weft_rwlock_fini", "read-write lock", rw, "still has waiters");
	if (word)
		weft__sync_misuse("weft_rwlock_fini", "read-write lock", rw, "is held");
	san_forget(rw, sizeof(*rw));
}

WEFT__MAY_HOP void weft_rwlock_rdlock(weft_rwlock *rwlock)
{
	lock_until(rwlock, false, WEFT_FOREVER, "weft_rwlock_rdlock");
}

WEFT__MAY_HOP void weft_rwlock_wrlock(weft_rwlock *rwlock)
{
	lock_until(rwlock, true, WEFT_FOREVER, "weft_rwlock_wrlock");
}

WEFT__MAY_HOP int weft_rwlock_rdlock_until(weft_rwlock *rwlock, int64_t deadline)
{
	return lock_until(rwlock, false, deadline, "weft_rwlock_rdlock_until");
}

WEFT__MAY_HOP int weft_rwlock_wrlock_until(weft_rwlock *rwlock, int64_t deadline)
{
	return lock_until(rwlock, true, deadline, "weft_rwlock_wrlock_until");
}

int weft_rwlock_try_rdlock(weft_rwlock *rwlock)
{
	return trylock(rwlock, false);
}

int weft_rwlock_try_wrlock(weft_rwlock *rwlock)
{
	return trylock(rwlock, true);
}

void weft_rwlock_unlock(weft_rwlock *rwlock)
{
	struct rwlock *rw = (struct rwlock *)rwlock;

	if (writes(rw, identity_on(weft__worker()))) {
		san_release(&rw->word);
		set_writer(rw, 0);
		unlock_word(rw, WRITER, "weft_rwlock_unlock");
	} else {
		san_release(&rw->writer);
		unlock_word(rw, READER, "weft_rwlock_unlock");
	}
}

void weft_rwlock_downgrade(weft_rwlock *rwlock)
{
	struct rwlock *rw = (struct rwlock *)rwlock;
	uint64_t word = WRITER;

	if (!writes(rw, identity_on(weft__worker())))
		not_owner(rw, load_relaxed(&rw->word), "weft_rwlock_downgrade",
			  "is not held for writing by the caller");
	san_release(&rw->word);
	set_writer(rw, 0);
	/* release, here and below: what the writer did, for the acquire in enter(). */
	if (cas_release(&rw->word, &word, READER))
		return;
	struct sync_node *list;
	sync_lock(&rw->queue.lock);
	store_release(&rw->word, let_in_locked(rw, 1, &list));
	sync_unlock(&rw->queue.lock);
	sync_wake_all(list);
}

static void push_first_locked(struct sync_queue *q, struct sync_node *node)
{
	struct sync_node *head = sync_first(q);

	if (!head) {
		sync_push_locked(q, node);
		return;
	}
	node->queued = true;
	node->next = head;
	node->prev = head->prev; /* the tail */
	head->prev = node;
	sync_set_first_locked(q, node);
}

/*
 * Makes the caller the writer if it is the only reader, and returns 0. Otherwise returns:
 *  - -EDEADLK if another reader wants to write already;
 *  - -ETIMEDOUT if the caller does not want to wait;
 *  - -EINPROGRESS, after it has set the flags of a reader that wants to write.
 */
static int upgrade_or_queue_locked(struct rwlock *rw, uint64_t self, bool waits)
{
	uint64_t word = load_relaxed(&rw->word), next;
	bool only_reader;

	do {
		only_reader = (word & ~QUEUED) == READER;
		if (word & UPGRADE)
			return -EDEADLK;
		if (!only_reader && !waits)
			return -ETIMEDOUT;
		next = only_reader ? WRITER | (word & QUEUED) : word | QUEUED | UPGRADE;
		/* acquire: what earlier readers did, released when they left. */
	} while (!cas_weak_acquire(&rw->word, &word, next));
	if (!only_reader)
		return -EINPROGRESS;
	set_writer(rw, self);
	return 0;
}

/* After the reader that wants to write gave up: it still reads, and the nodes behind it may
 * enter. */
static struct sync_node *after_upgrade_locked(struct rwlock *rw, struct sync_node *node)
{
	if (!node->queued)
		return NULL;
	sync_remove_locked(&rw->queue, node);
	/* relaxed: publishes nothing. */
	fetch_and_relaxed(&rw->word, ~UPGRADE);
	return after_leaving_locked(rw);
}

static WEFT__MAY_HOP int upgrade_until(struct rwlock *rw, int64_t deadline, const char *call)
{
	struct rwlock_node node = {.self = identity_on(weft__worker()), .write = true};
	uint64_t word = load_relaxed(&rw->word);

	if (word & WRITER || word < READER)
		weft__sync_misuse(call, "read-write lock", rw, "is not held for reading");
	weft__wait_begin(&node.n.waiter, deadline == WEFT_FOREVER);
	sync_lock(&rw->queue.lock);
	int rc = upgrade_or_queue_locked(rw, node.self, deadline > 0);
	if (rc != -EINPROGRESS) {
		sync_unlock(&rw->queue.lock);
		weft__wait_abandon(&node.n.waiter);
	} else {
		push_first_locked(&rw->queue, &node.n);
		sync_unlock(&rw->queue.lock);
		enum wait_outcome outcome = weft__wait(&node.n.waiter, deadline, false);
		if (outcome != WAIT_WOKEN) {
			sync_lock(&rw->queue.lock);
			struct sync_node *list = after_upgrade_locked(rw, &node.n);
			sync_unlock(&rw->queue.lock);
			sync_wake_all(list);
		}
		rc = wait_errno(outcome);
	}
	if (rc == 0)
		edges_enter(rw, true);
	return rc;
}

WEFT__MAY_HOP int weft_rwlock_upgrade(weft_rwlock *rwlock)
{
	return upgrade_until((struct rwlock *)rwlock, WEFT_FOREVER, "weft_rwlock_upgrade");
}

WEFT__MAY_HOP int weft_rwlock_upgrade_until(weft_rwlock *rwlock, int64_t deadline)
{
	return upgrade_until((struct rwlock *)rwlock, deadline, "weft_rwlock_upgrade_until");
}
