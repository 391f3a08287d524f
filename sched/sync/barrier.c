/* SPDX-License-Identifier: MIT */
/*
 * The barrier. All under the queue's lock: who comes to a barrier comes to wait. The last one of a
 * round wakes the others, who do not look at the barrier again.
 */
#include "queue.h"
#include "self.h"

#include <weft/sync.h>

struct barrier {
	uint64_t n;              /* immutable */
	struct sync_queue queue; /* .spare: how many are here (under its lock) */
	uint64_t round;          /* under the queue's lock */
	uint64_t edge; /* its address stands for the odd rounds, that of .round for the even ones */
} __attribute__((may_alias));

static_assert(sizeof(struct barrier) <= sizeof(weft_barrier), "a barrier fits its public storage");
static_assert(alignof(struct barrier) <= alignof(weft_barrier),
	      "a barrier fits its public storage");
static_assert(offsetof(struct barrier, n) == 0, "WEFT_BARRIER_INIT puts the number there");

void weft_barrier_init(weft_barrier *barrier, unsigned n)
{
	struct barrier *b = (struct barrier *)barrier;

	if (n == 0)
		weft__sync_misuse("weft_barrier_init", "barrier", b, "is for nobody");
	san_forget(b, sizeof(*b));
	b->n = n;
	b->round = 0;
	sync_queue_init(&b->queue);
}

void weft_barrier_fini(weft_barrier *barrier)
{
	struct barrier *b = (struct barrier *)barrier;

	if (sync_first(&b->queue))
		weft__sync_misuse("weft_barrier_fini", "barrier", b, "is waited for");
	san_forget(b, sizeof(*b));
}

int weft_barrier_wait(weft_barrier *barrier)
{
	struct barrier *b = (struct barrier *)barrier;
	struct sync_node node;
	struct sync_node *list = NULL;

	if (b->n == 0)
		weft__sync_misuse("weft_barrier_wait", "barrier", b, "is for nobody");
	weft__wait_begin(&node.waiter, true);
	sync_lock(&b->queue.lock);
	/* A round's calls are ordered by that round's address: with one for all, who comes early to
	 * the next round would seem to be ordered before who returns late from this one. */
	void *edge = b->round % 2 ? &b->edge : &b->round;
	san_release(edge);
	bool last = ++b->queue.spare == b->n;
	if (last) {
		b->queue.spare = 0;
		b->round++;
		list = sync_take_all_locked(&b->queue);
		sync_unlock(&b->queue.lock);
		weft__wait_abandon(&node.waiter);
		sync_wake_all(list);
	} else {
		sync_wait_unlock(&b->queue, &node, WEFT_FOREVER, false);
	}
	san_acquire(edge);
	return last;
}
