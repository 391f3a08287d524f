/* SPDX-License-Identifier: MIT */
#include "timer.h"

#include <weft/base.h>

static struct timer *meld(struct timer *a, struct timer *b)
{
	if (!a)
		return b;
	if (!b)
		return a;
	if (b->deadline < a->deadline) {
		struct timer *later = a;
		a = b;
		b = later;
	}
	b->sibling = a->child;
	if (b->sibling)
		b->sibling->back = b;
	b->back = a;
	a->child = b;
	a->sibling = NULL;
	a->back = NULL;
	return a;
}

/* Melds a list of siblings to one heap: in pairs from the front, then the pairs from the back. */
static struct timer *meld_siblings(struct timer *first)
{
	struct timer *pairs = NULL; /* linked by .sibling, the last one first */

	while (first) {
		struct timer *a = first, *b = a->sibling;
		first = b ? b->sibling : NULL;
		a->sibling = NULL;
		if (b)
			b->sibling = NULL;
		struct timer *pair = meld(a, b);
		pair->sibling = pairs;
		pairs = pair;
	}
	struct timer *heap = NULL;
	while (pairs) {
		struct timer *pair = pairs;
		pairs = pair->sibling;
		pair->sibling = NULL;
		heap = meld(heap, pair);
	}
	if (heap)
		heap->back = NULL;
	return heap;
}

static void publish_earliest(struct timers *timers)
{
	/* release: pairs with the acquire of weft__expire(); only a hint, the lock decides. */
	atomic_store_explicit(&timers->earliest,
			      timers->root ? timers->root->deadline : WEFT_FOREVER,
			      memory_order_release);
}

static void take_out(struct timers *timers, struct timer *t)
{
	struct timer *rest = meld_siblings(t->child);

	if (t == timers->root) {
		timers->root = rest;
	} else {
		if (t->back->child == t)
			t->back->child = t->sibling;
		else
			t->back->sibling = t->sibling;
		if (t->sibling)
			t->sibling->back = t->back;
		timers->root = meld(timers->root, rest);
	}
	t->queued = false;
}

void weft__timers_init(struct timers *timers)
{
	atomic_init(&timers->earliest, WEFT_FOREVER);
	timers->lock = (struct weft__lock)WEFT__LOCK_INIT;
	timers->root = NULL;
}

void weft__timer_arm(struct timers *timers, struct timer *t, int64_t deadline)
{
	t->deadline = deadline;
	t->timers = timers;
	t->child = t->sibling = t->back = NULL;
	t->queued = true;

	weft__lock(&timers->lock);
	timers->root = meld(timers->root, t);
	if (timers->root == t)
		publish_earliest(timers);
	weft__unlock(&timers->lock);
}

void weft__timer_disarm(struct timer *t)
{
	struct timers *timers = t->timers;

	weft__lock(&timers->lock);
	if (t->queued) {
		bool was_first = t == timers->root;
		take_out(timers, t);
		if (was_first)
			publish_earliest(timers);
	}
	weft__unlock(&timers->lock);
	t->timers = NULL;
}

struct timer *weft__timers_pop_locked(struct timers *timers, int64_t now)
{
	struct timer *t = timers->root;

	if (!t || t->deadline > now)
		return NULL;
	take_out(timers, t);
	publish_earliest(timers);
	return t;
}
