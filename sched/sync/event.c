/* SPDX-License-Identifier: MIT */
/*
 * The event: a flag that is changed under the queue's lock and read without it. An event that
 * resets itself gives each set to one waiter: to the first in the queue or, through the flag, to
 * the next caller that waits.
 */
#include "queue.h"
#include "sched/core/patience.h"
#include "self.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"

#include <weft/sync.h>

struct event {
	_Atomic uint32_t set; /* stored under the queue's lock; anyone reads */
	struct sync_queue queue;
	uint64_t resets_itself; /* immutable */
} __attribute__((may_alias));

static_assert(sizeof(struct event) <= sizeof(weft_event), "an event fits its public storage");
static_assert(alignof(struct event) <= alignof(weft_event), "an event fits its public storage");
static_assert(offsetof(struct event, resets_itself) == 24, "WEFT_EVENT_INIT_AUTO sets it");

static void init(weft_event *event, bool resets_itself)
{
	struct event *e = (struct event *)event;

	san_forget(e, sizeof(*e));
	/* relaxed: the caller publishes the object. */
	store_relaxed(&e->set, 0);
	sync_queue_init(&e->queue);
	e->resets_itself = resets_itself;
}

void weft_event_init(weft_event *event)
{
	init(event, false);
}

void weft_event_init_auto(weft_event *event)
{
	init(event, true);
}

void weft_event_fini(weft_event *event)
{
	struct event *e = (struct event *)event;

	if (sync_first(&e->queue))
		weft__sync_misuse("weft_event_fini", "event", e, "still has waiters");
	san_forget(e, sizeof(*e));
}

void weft_event_set(weft_event *event)
{
	struct event *e = (struct event *)event;

	san_release(e);
	sync_lock(&e->queue.lock);
	if (e->resets_itself) {
		struct sync_node *node = sync_take_locked(&e->queue);
		/* release: as below. */
		if (!node)
			store_release(&e->set, 1);
		sync_unlock(&e->queue.lock);
		if (node)
			weft__wait_wake(weft__wakeup_of(&node->waiter));
		return;
	}
	/* release: what was done before, for the acquire in weft_event_wait_until(). This set may
	 * hide an earlier one from a waiter. The lock orders the earlier set before this one. */
	store_release(&e->set, 1);
	struct sync_node *list = sync_take_all_locked(&e->queue);
	sync_unlock(&e->queue.lock);
	sync_wake_all(list);
}

void weft_event_reset(weft_event *event)
{
	struct event *e = (struct event *)event;

	sync_lock(&e->queue.lock);
	/* relaxed: publishes nothing. */
	store_relaxed(&e->set, 0);
	sync_unlock(&e->queue.lock);
}

static WEFT__MAY_HOP int wait_for_set(struct event *e, int64_t deadline)
{
	struct sync_node node;

	weft__wait_begin(&node.waiter, deadline == WEFT_FOREVER);
	sync_lock(&e->queue.lock);
	/* relaxed, both: the lock orders. No wake is lost: a set either comes before this critical
	 * section, or finds us in the queue. */
	bool set = load_relaxed(&e->set);
	if (set && e->resets_itself)
		store_relaxed(&e->set, 0);
	if (set || deadline <= 0) {
		sync_unlock(&e->queue.lock);
		weft__wait_abandon(&node.waiter);
		return set ? 0 : -ETIMEDOUT;
	}
	return wait_errno(sync_wait_unlock(&e->queue, &node, deadline, true));
}

WEFT__MAY_HOP int weft_event_wait(weft_event *event)
{
	return weft_event_wait_until(event, WEFT_FOREVER);
}

WEFT__MAY_HOP int weft_event_wait_until(weft_event *event, int64_t deadline)
{
	struct event *e = (struct event *)event;

	/* acquire: what was done before the set. */
	bool set = load_acquire(&e->set);
	bool takes = set && e->resets_itself;
	if (set && !takes) {
		sync_await_unlock(&e->queue);
	} else {
		int rc = !set && deadline <= 0 ? -ETIMEDOUT : wait_for_set(e, deadline);
		if (rc < 0)
			return rc;
	}
	san_acquire(e);
	/* The task may never wait: it may set the event itself, or others may always set it in
	 * time. */
	struct worker *w = takes && deadline > 0 ? weft__worker() : NULL;
	if (w)
		w = fast_path(w);
	return 0;
}
