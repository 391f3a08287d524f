/* SPDX-License-Identifier: MIT */
/*
 * The wait group: a count that rises and falls, and waits for it to be 0. An add or a done is one
 * compare-and-swap, except for the done that makes the count 0. That one does so under the queue's
 * lock and wakes all waiters. The count may rise again at once.
 */
#include "queue.h"
#include "self.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"

#include <weft/sync.h>

struct waitgroup {
	_Atomic uint64_t count; /* becomes 0 under the queue's lock */
	struct sync_queue queue;
} __attribute__((may_alias));

static_assert(sizeof(struct waitgroup) <= sizeof(weft_waitgroup), "it fits its public storage");
static_assert(alignof(struct waitgroup) <= alignof(weft_waitgroup), "it fits its public storage");

void weft_waitgroup_init(weft_waitgroup *wg)
{
	struct waitgroup *g = (struct waitgroup *)wg;

	san_forget(g, sizeof(*g));
	/* relaxed: the caller publishes the object. */
	store_relaxed(&g->count, 0);
	sync_queue_init(&g->queue);
}

void weft_waitgroup_fini(weft_waitgroup *wg)
{
	struct waitgroup *g = (struct waitgroup *)wg;

	if (sync_first(&g->queue))
		weft__sync_misuse("weft_waitgroup_fini", "wait group", g, "still has waiters");
	san_forget(g, sizeof(*g));
}

void weft_waitgroup_add(weft_waitgroup *wg, unsigned n)
{
	struct waitgroup *g = (struct waitgroup *)wg;
	uint64_t count = load_relaxed(&g->count);

	do {
		if (count + n > UINT32_MAX)
			weft__sync_misuse("weft_waitgroup_add", "wait group", g,
					  "would count beyond 4294967295");
		/* relaxed: publishes nothing. It carries on what earlier dones published. */
	} while (!cas_weak_relaxed(&g->count, &count, count + n));
}

/* Makes the count 0, unless others have added meanwhile. The caller holds the lock. */
static bool empty_locked(struct waitgroup *g)
{
	uint64_t one = 1;

	/* acq_rel: this done and all before it, for the acquire in weft_waitgroup_wait_until() and
	 * for the waiters that are woken. */
	return cas_acq_rel(&g->count, &one, 0);
}

void weft_waitgroup_done(weft_waitgroup *wg)
{
	struct waitgroup *g = (struct waitgroup *)wg;

	san_release(g);
	uint64_t count = load_relaxed(&g->count);
	for (;;) {
		if (count == 0)
			weft__sync_misuse("weft_waitgroup_done", "wait group", g,
					  "would count below 0");
		if (count > 1) {
			/* release: what was done before. Later dones carry it on. */
			if (cas_weak_release(&g->count, &count, count - 1))
				return;
			continue;
		}
		struct sync_node *list = NULL;
		sync_lock(&g->queue.lock);
		bool empty = empty_locked(g);
		if (empty)
			list = sync_take_all_locked(&g->queue);
		sync_unlock(&g->queue.lock);
		sync_wake_all(list);
		if (empty)
			return;
		count = load_relaxed(&g->count);
	}
}

static WEFT__MAY_HOP int wait_until_empty(struct waitgroup *g, int64_t deadline)
{
	struct sync_node node;

	weft__wait_begin(&node.waiter, deadline == WEFT_FOREVER);
	sync_lock(&g->queue.lock);
	/* relaxed: it becomes 0 only under the lock. No wake is lost: the last done either comes
	 * before this critical section, or finds us in the queue. */
	if (load_relaxed(&g->count) == 0) {
		sync_unlock(&g->queue.lock);
		weft__wait_abandon(&node.waiter);
		return 0;
	}
	return wait_errno(sync_wait_unlock(&g->queue, &node, deadline, true));
}

WEFT__MAY_HOP int weft_waitgroup_wait(weft_waitgroup *wg)
{
	return weft_waitgroup_wait_until(wg, WEFT_FOREVER);
}

WEFT__MAY_HOP int weft_waitgroup_wait_until(weft_waitgroup *wg, int64_t deadline)
{
	struct waitgroup *g = (struct waitgroup *)wg;

	/* acquire: what was done before each done. */
	if (load_acquire(&g->count) == 0) {
		sync_await_unlock(&g->queue);
	} else {
		int rc = deadline <= 0 ? -ETIMEDOUT : wait_until_empty(g, deadline);
		if (rc < 0)
			return rc;
	}
	san_acquire(g);
	return 0;
}
