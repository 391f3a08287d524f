/* SPDX-License-Identifier: MIT */
/*
 * The barrier. All of it is under the queue's lock, since a caller comes to a barrier to wait. The
 * last caller of a round wakes the others. They do not look at the barrier again.
 *
 * A wait that is cancelled, or whose deadline has passed, leaves its round and no longer counts.
 * But it counts until it takes the lock, and the last caller may have come before that. Then the
 * round is complete, and the wait succeeds after all. If it failed, the others would go on without
 * a caller that believes it has left. So the lock decides who is in a round, in the same way for
 * all.
 */
#include "queue.h"
#include "sched/core/patience.h"
#include "self.h"
#include "src/base/compiler.h"

#include <weft/sync.h>

struct barrier {
	uint64_t n;              /* immutable */
	struct sync_queue queue; /* .user, under its lock: how many callers are here */
	uint64_t round;          /* under the queue's lock */
	/* Under the queue's lock. ThreadSanitizer's edge is the address of .broken in odd rounds,
	 * and of .round in even ones. */
	uint64_t broken;
} __attribute__((may_alias));

static_assert(sizeof(struct barrier) <= sizeof(weft_barrier), "a barrier fits its public storage");
static_assert(alignof(struct barrier) <= alignof(weft_barrier),
	      "a barrier fits its public storage");
static_assert(offsetof(struct barrier, n) == 0, "WEFT_BARRIER_INIT puts the number there");

void weft_barrier_init(weft_barrier *barrier, unsigned n)
{
	struct barrier *b = (struct barrier *)barrier;

	if (n == 0)
		weft__sync_misuse("weft_barrier_init", "barrier", b, "has a count of 0");
	san_forget(b, sizeof(*b));
	b->n = n;
	b->round = 0;
	b->broken = false;
	sync_queue_init(&b->queue);
}

void weft_barrier_fini(weft_barrier *barrier)
{
	struct barrier *b = (struct barrier *)barrier;

	if (sync_first(&b->queue))
		weft__sync_misuse("weft_barrier_fini", "barrier", b, "still has waiters");
	san_forget(b, sizeof(*b));
}

struct barrier_node {
	struct sync_node n;
	/* under the queue's lock; after a claim they are the claimer's until the wake */
	bool ended; /* its round is over, or the barrier is broken */
	int rc;     /* if .ended: 0 or -EPIPE */
};

/* The address that orders the calls of the current round. With one address for all rounds, an early
 * caller of the next round would seem to be ordered before a late return from this one. */
static inline void *edge_of_round_locked(struct barrier *b)
{
	return b->round % 2 ? &b->broken : &b->round;
}

/* Ends the wait of all callers that are here, with this rc. Returns the nodes to be woken. A waiter
 * that has just given up learns of it as well, when it comes to take its node out. */
static struct sync_node *end_round_locked(struct barrier *b, int rc)
{
	struct sync_node *first = NULL, **end = &first, *node;

	b->queue.user = 0;
	while ((node = sync_first(&b->queue))) {
		struct barrier_node *bnode = (struct barrier_node *)node;
		sync_remove_locked(&b->queue, node);
		bnode->ended = true;
		bnode->rc = rc;
		if (sync_claim_locked(node)) {
			*end = node;
			end = &node->next;
		}
	}
	*end = NULL;
	return first;
}

/* After a wait that was not woken: leaves the round, unless the round is over. */
static int leave_round(struct barrier *b, struct barrier_node *node, enum wait_outcome outcome)
{
	sync_lock(&b->queue.lock);
	if (!node->ended) {
		sync_remove_locked(&b->queue, &node->n);
		b->queue.user--;
		node->rc = wait_errno(outcome);
	}
	sync_unlock(&b->queue.lock);
	return node->rc;
}

static WEFT__MAY_HOP int wait_until(struct barrier *b, int64_t deadline, const char *call)
{
	struct barrier_node node = {.ended = false};
	struct worker *w = NULL; /* of a task that need not wait */
	int rc;

	if (b->n == 0)
		weft__sync_misuse(call, "barrier", b, "has a count of 0");
	weft__wait_begin(&node.n.waiter, deadline == WEFT_FOREVER);
	sync_lock(&b->queue.lock);
	void *edge = edge_of_round_locked(b);
	bool last = b->queue.user + 1 == b->n;
	if (b->broken || last || deadline <= 0) {
		struct sync_node *list = NULL;
		rc = b->broken ? -EPIPE : last ? 1 : -ETIMEDOUT;
		if (rc == 1) {
			san_release(edge);
			b->round++;
			list = end_round_locked(b, 0);
		}
		sync_unlock(&b->queue.lock);
		weft__wait_abandon(&node.n.waiter);
		sync_wake_all(list);
		w = deadline > 0 ? weft__worker() : NULL;
	} else {
		san_release(edge);
		b->queue.user++;
		sync_push_locked(&b->queue, &node.n);
		sync_unlock(&b->queue.lock);
		enum wait_outcome outcome = weft__wait(&node.n.waiter, deadline, true);
		rc = outcome == WAIT_WOKEN ? node.rc : leave_round(b, &node, outcome);
	}
	if (rc >= 0 || rc == -EPIPE)
		san_acquire(edge);
	if (w)
		w = fast_path(w);
	return rc;
}

WEFT__MAY_HOP int weft_barrier_wait(weft_barrier *barrier)
{
	return wait_until((struct barrier *)barrier, WEFT_FOREVER, "weft_barrier_wait");
}

WEFT__MAY_HOP int weft_barrier_wait_until(weft_barrier *barrier, int64_t deadline)
{
	return wait_until((struct barrier *)barrier, deadline, "weft_barrier_wait_until");
}

void weft_barrier_break(weft_barrier *barrier)
{
	struct barrier *b = (struct barrier *)barrier;

	sync_lock(&b->queue.lock);
	san_release(edge_of_round_locked(b));
	b->broken = true;
	struct sync_node *list = end_round_locked(b, -EPIPE);
	sync_unlock(&b->queue.lock);
	sync_wake_all(list);
}
