/* SPDX-License-Identifier: MIT */
/*
 * The tree of deadlines (timer.h).
 *
 * The problem. A worker arms a deadline for every wait that has one, and disarms nearly all of them
 * again. Every worker may pop. All three operations hold the lock, and other threads that want it
 * spin meanwhile. So each single operation must be short, with one deadline and with a million.
 * Arming must not fail. A deadline is exact to a nanosecond, and is never rounded.
 *
 * The design. A red-black tree with parent links, in the form of Cormen, Leiserson, Rivest, Stein.
 * It goes back to Guibas, Sedgewick: A dichromatic framework for balanced trees, 1978. The tree
 * keeps pointers to its first and last node. Most programs use few different timeouts, so a new
 * deadline is nearly always the latest. It is appended without a descent. Popping starts at the
 * first node, without a descent as well.
 *
 * Invariants, under the lock.
 *  1. In order, deadlines do not decrease. Of equal ones the one armed first comes first.
 *  2. A red node has no red child, and the root is black.
 *  3. Every path from the root down to a missing child has the same number of black nodes.
 *  4. ends[TIMER_EARLIER] and ends[TIMER_LATER] are the first and the last node in order.
 *     `earliest` is the deadline of the first.
 *
 * By 2 and 3 the depth is at most 2 log2(n + 1).
 *
 * Rejected designs.
 *  - A pairing heap. It arms in constant time. But a pop melds all children of the root. After n
 *    deadlines armed in the order of time the root has n - 1 children. With 100000 deadlines that
 *    took 38 ms under the lock, and 211 ms with a million. Its bound is amortised. So are those of
 *    skew heaps, which meld a path of any length, and of leftist heaps, which repair such a path
 *    upwards.
 *  - A hierarchical timing wheel. Arming is constant. But when a slot of a coarse level comes due,
 *    it is spread over finer slots, a million nodes at once. If that is done in batches, nodes are
 *    in the wrong slot for a while. The earliest deadline is then known only to within a slot. The
 *    keeper would then wake for nothing, once for each level.
 *  - A heap in an array. It needs memory at the moment of waiting.
 *  - A heap in a complete tree of linked nodes. It has a bound, too. But each pop moves the last
 *    node to the top and sifts it down. With a million deadlines it passes 20 levels, and touches
 *    two cold nodes on each. A tree's pop touches only the first node's neighbours.
 *  - Treaps and skip lists. They are bounded in expectation only.
 */
#include "timer.h"
#include "src/base/atomic.h"

#include <weft/base.h>

#include <stddef.h>

/* A test that includes this file counts the links that are followed. */
#ifndef TIMER_STEP
#define TIMER_STEP() ((void)0)
#endif

static inline bool is_red(const struct timer *t)
{
	return t && t->red;
}

/* The side on which t is a child of its parent. */
static inline enum timer_side side_of(const struct timer *t)
{
	return t->parent->child[TIMER_LATER] == t ? TIMER_LATER : TIMER_EARLIER;
}

static void publish_earliest(struct timers *timers)
{
	const struct timer *first = timers->ends[TIMER_EARLIER];

	/* release: pairs with the acquire of weft__expire(). Only a hint: the lock decides. */
	store_release(&timers->earliest, first ? first->deadline : WEFT_FOREVER);
}

/* Puts `by`, which may be NULL, in the place of t below t's parent. */
static inline void replace(struct timers *timers, struct timer *t, struct timer *by)
{
	if (!t->parent)
		timers->root = by;
	else
		t->parent->child[side_of(t)] = by;
	if (by)
		by->parent = t->parent;
}

/* Moves t down to that side. Its child on the other side takes its place. */
static void rotate(struct timers *timers, struct timer *t, enum timer_side side)
{
	struct timer *up = t->child[!side];

	t->child[!side] = up->child[side];
	if (t->child[!side])
		t->child[!side]->parent = t;
	replace(timers, t, up);
	up->child[side] = t;
	t->parent = up;
}

/* Restores invariant 2 after a red t was put in. */
static void balance_after_insert(struct timers *timers, struct timer *t)
{
	struct timer *parent;

	while ((parent = t->parent) && parent->red) {
		TIMER_STEP();
		struct timer *above = parent->parent; /* exists, since the root is black */
		enum timer_side side = side_of(parent);
		struct timer *uncle = above->child[!side];

		if (is_red(uncle)) {
			parent->red = uncle->red = false;
			above->red = true;
			t = above;
			continue;
		}
		if (side_of(t) != side) {
			rotate(timers, parent, side);
			parent = t;
		}
		parent->red = false;
		above->red = true;
		rotate(timers, above, !side);
		break;
	}
	timers->root->red = false;
}

/* Restores invariant 3 after a black node was taken out on that side of parent. The paths there
 * have one black node too few. */
static void balance_after_remove(struct timers *timers, struct timer *parent, enum timer_side side)
{
	struct timer *t = parent->child[side];

	while (!is_red(t) && parent) {
		TIMER_STEP();
		struct timer *other = parent->child[!side]; /* exists, by invariant 3 */

		if (other->red) {
			other->red = false;
			parent->red = true;
			rotate(timers, parent, side);
			other = parent->child[!side];
		}
		if (is_red(other->child[0]) || is_red(other->child[1])) {
			if (!is_red(other->child[!side])) {
				other->child[side]->red = false;
				other->red = true;
				rotate(timers, other, !side);
				other = parent->child[!side];
			}
			other->red = parent->red;
			parent->red = false;
			other->child[!side]->red = false;
			rotate(timers, parent, side);
			return;
		}
		other->red = true;
		t = parent;
		parent = t->parent;
		if (parent)
			side = side_of(t);
	}
	if (t)
		t->red = false;
}

/* The neighbour of t in order. t is the first or the last node, and has a neighbour on one side
 * only. */
static struct timer *neighbour_of_end(const struct timer *t, enum timer_side inwards)
{
	struct timer *next = t->child[inwards];

	if (!next)
		return t->parent;
	while (next->child[!inwards]) {
		TIMER_STEP();
		next = next->child[!inwards];
	}
	return next;
}

static void insert(struct timers *timers, struct timer *t)
{
	struct timer *parent = timers->ends[TIMER_LATER];
	enum timer_side side = TIMER_LATER;

	if (parent && t->deadline < parent->deadline) {
		for (struct timer *next = timers->root; next; next = parent->child[side]) {
			TIMER_STEP();
			parent = next;
			side = t->deadline < parent->deadline ? TIMER_EARLIER : TIMER_LATER;
		}
	}
	t->parent = parent;
	t->child[0] = t->child[1] = NULL;
	t->red = true;
	t->queued = true;
	if (!parent) {
		t->red = false;
		timers->root = timers->ends[0] = timers->ends[1] = t;
		return;
	}
	parent->child[side] = t;
	/* Nothing is beyond an end, so a node that is put there becomes the end. */
	if (parent == timers->ends[side])
		timers->ends[side] = t;
	balance_after_insert(timers, t);
}

/* Puts the node that follows t in order into the place of t. t has two children, and that node has
 * no earlier child. */
static void swap_with_next(struct timers *timers, struct timer *t)
{
	struct timer *next = t->child[TIMER_LATER];

	while (next->child[TIMER_EARLIER]) {
		TIMER_STEP();
		next = next->child[TIMER_EARLIER];
	}
	struct timer *parent = next->parent, *later = next->child[TIMER_LATER];
	enum timer_side side = side_of(next);
	bool red = next->red;

	replace(timers, t, next);
	next->red = t->red;
	next->child[TIMER_EARLIER] = t->child[TIMER_EARLIER];
	next->child[TIMER_EARLIER]->parent = next;
	if (parent == t)
		parent = next;
	else
		next->child[TIMER_LATER] = t->child[TIMER_LATER];
	parent->child[side] = t;
	next->child[TIMER_LATER]->parent = next;
	t->parent = parent;
	t->child[TIMER_EARLIER] = NULL;
	t->child[TIMER_LATER] = later;
	if (later)
		later->parent = t;
	t->red = red;
}

static void take_out(struct timers *timers, struct timer *t)
{
	if (t == timers->ends[TIMER_EARLIER])
		timers->ends[TIMER_EARLIER] = neighbour_of_end(t, TIMER_LATER);
	if (t == timers->ends[TIMER_LATER])
		timers->ends[TIMER_LATER] = neighbour_of_end(t, TIMER_EARLIER);
	if (t->child[0] && t->child[1])
		swap_with_next(timers, t);

	struct timer *parent = t->parent;
	enum timer_side side = parent ? side_of(t) : TIMER_EARLIER;
	struct timer *only = t->child[t->child[TIMER_EARLIER] ? TIMER_EARLIER : TIMER_LATER];
	replace(timers, t, only);
	if (only)
		only->red = false; /* by invariant 3 it was red, and t was black */
	else if (!t->red && parent)
		balance_after_remove(timers, parent, side);
	t->queued = false;
}

void weft__timers_init(struct timers *timers)
{
	atomic_init(&timers->earliest, WEFT_FOREVER);
	timers->lock = (struct weft__lock)WEFT__LOCK_INIT(TIMERS);
	timers->root = timers->ends[0] = timers->ends[1] = NULL;
}

void weft__timer_arm(struct timers *timers, struct timer *t, int64_t deadline)
{
	t->deadline = deadline;
	t->timers = timers;

	weft__lock(&timers->lock);
	insert(timers, t);
	if (timers->ends[TIMER_EARLIER] == t)
		publish_earliest(timers);
	weft__unlock(&timers->lock);
}

void weft__timer_disarm(struct timer *t)
{
	struct timers *timers = t->timers;

	weft__lock(&timers->lock);
	if (t->queued) {
		bool was_first = t == timers->ends[TIMER_EARLIER];
		take_out(timers, t);
		if (was_first)
			publish_earliest(timers);
	}
	weft__unlock(&timers->lock);
	t->timers = NULL;
}

struct timer *weft__timers_pop_locked(struct timers *timers, int64_t now)
{
	struct timer *t = timers->ends[TIMER_EARLIER];

	if (!t || t->deadline > now)
		return NULL;
	take_out(timers, t);
	publish_earliest(timers);
	return t;
}
