/* SPDX-License-Identifier: MIT */
/*
 * The latch. Each count down is one compare-and-swap, except for the last one, which opens the
 * latch under the queue's lock.
 */
#include "queue.h"
#include "self.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"

#include <weft/sync.h>

struct latch {
	_Atomic uint64_t left; /* becomes 0 under the queue's lock */
	struct sync_queue queue;
} __attribute__((may_alias));

static_assert(sizeof(struct latch) <= sizeof(weft_latch), "a latch fits its public storage");
static_assert(alignof(struct latch) <= alignof(weft_latch), "a latch fits its public storage");
static_assert(offsetof(struct latch, left) == 0, "WEFT_LATCH_INIT puts the count there");

void weft_latch_init(weft_latch *latch, unsigned n)
{
	struct latch *l = (struct latch *)latch;

	san_forget(l, sizeof(*l));
	/* relaxed: the caller publishes the object. */
	store_relaxed(&l->left, n);
	sync_queue_init(&l->queue);
}

void weft_latch_fini(weft_latch *latch)
{
	struct latch *l = (struct latch *)latch;

	if (sync_first(&l->queue))
		weft__sync_misuse("weft_latch_fini", "latch", l, "still has waiters");
	san_forget(l, sizeof(*l));
}

/* Opens the latch, unless the count is no longer n. The caller holds the lock. */
static bool open_locked(struct latch *l, uint64_t n)
{
	/* acq_rel: this count and all before it, for the acquire in weft_latch_wait_until() and for
	 * the waiters that are woken. */
	return cas_acq_rel(&l->left, &n, 0);
}

void weft_latch_count_down(weft_latch *latch, unsigned n)
{
	struct latch *l = (struct latch *)latch;

	if (n == 0)
		return;
	san_release(l);
	uint64_t left = load_relaxed(&l->left);
	for (;;) {
		if (n > left)
			weft__sync_misuse("weft_latch_count_down", "latch", l,
					  "would count below 0");
		if (n < left) {
			/* release: what was done before. Later counts carry it on. */
			if (cas_weak_release(&l->left, &left, left - n))
				return;
			continue;
		}
		struct sync_node *list = NULL;
		sync_lock(&l->queue.lock);
		bool opened = open_locked(l, n);
		if (opened)
			list = sync_take_all_locked(&l->queue);
		sync_unlock(&l->queue.lock);
		sync_wake_all(list);
		if (opened)
			return;
		left = load_relaxed(&l->left);
	}
}

static WEFT__MAY_HOP int wait_until_open(struct latch *l, int64_t deadline)
{
	struct sync_node node;

	weft__wait_begin(&node.waiter, deadline == WEFT_FOREVER);
	sync_lock(&l->queue.lock);
	/* relaxed: it becomes 0 only under the lock. No wake is lost: the latch either opens before
	 * this critical section, or finds us in the queue. */
	if (load_relaxed(&l->left) == 0) {
		sync_unlock(&l->queue.lock);
		weft__wait_abandon(&node.waiter);
		return 0;
	}
	return wait_errno(sync_wait_unlock(&l->queue, &node, deadline, true));
}

WEFT__MAY_HOP int weft_latch_wait(weft_latch *latch)
{
	return weft_latch_wait_until(latch, WEFT_FOREVER);
}

WEFT__MAY_HOP int weft_latch_wait_until(weft_latch *latch, int64_t deadline)
{
	struct latch *l = (struct latch *)latch;

	/* acquire: what was done before each count. */
	if (load_acquire(&l->left) == 0) {
		sync_await_unlock(&l->queue);
	} else {
		int rc = deadline <= 0 ? -ETIMEDOUT : wait_until_open(l, deadline);
		if (rc < 0)
			return rc;
	}
	san_acquire(l);
	return 0;
}
