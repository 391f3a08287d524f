/* SPDX-License-Identifier: MIT */
/*
 * Select. First it looks at its channels one after the other, each under its own lock, and carries
 * out one that is ready. If none is, it locks all of them, in the order of their addresses, looks
 * again, enqueues a node in each, and waits; whoever claims it has carried out that node's case.
 * Then it takes the other nodes out.
 *
 * Because it looks and enqueues under all locks, and is nowhere enqueued while it looks, only the
 * one that is found waiting must be claimed. (Rejected: enqueueing in one channel after the other.
 * Two selects that face each other would have to claim both, and take the first claim back when the
 * second fails; whoever had passed over the first in the meantime would have to be told.) It never
 * finds a node of its own.
 *
 * One that does not wait looks under all locks as well before it says that nothing is ready, if it
 * has several channels. Otherwise an element could go from one that it has yet to look at to one
 * that it has passed, with one of the two ready at every moment.
 *
 * Chance: of the cases that look ready each is as likely. A random place to start from would favour
 * those that come after cases that are not ready. A select that waits enqueues its cases on one
 * channel in a random order, because a partner takes the node that was enqueued first. An ordered
 * select has no part in chance: it takes the first case that looks ready, and enqueues in order.
 */
#include "chan.h"
#include "sched/core/patience.h"
#include "src/alloc.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* Up to so many cases wait without memory from the heap. */
#define FEW 16

struct select_node {
	struct chan_node node;
	unsigned nth; /* of all nodes, by the channels' addresses: the number of this one's case */
};

/* For threads that are no workers. relaxed: only makes seeds differ. */
static _Atomic uint64_t seeds;

static uint32_t random_below(uint32_t n)
{
	struct worker *w = weft__worker();
	struct weft__random once;

	if (w)
		return weft__random_below(&w->random, n);
	weft__random_seed(&once, atomic_fetch_add_explicit(&seeds, 1, memory_order_relaxed));
	return weft__random_below(&once, n);
}

static bool valid(const struct weft_case *cases, size_t n)
{
	if (n > INT_MAX || (n > 0 && !cases))
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct weft_case *c = &cases[i];
		if (c->op != WEFT_SEND && c->op != WEFT_RECV)
			return false;
		if (c->chan && !chan_accepts(c->chan, c->op, c->elem))
			return false;
	}
	return true;
}

/* One of the cases that look ready, or the first of them; -1: there is none. */
static int choose(const struct weft_case *cases, size_t n, bool ordered)
{
	int chosen = -1;
	uint32_t ready = 0;

	for (size_t i = 0; i < n; i++) {
		if (!cases[i].chan || !chan_looks_ready(cases[i].chan, cases[i].op))
			continue;
		if (ordered)
			return (int)i;
		/* Each of those seen so far stays chosen with the same chance. */
		if (++ready == 1 || random_below(ready) == 0)
			chosen = (int)i;
	}
	return chosen;
}

static void announce_access(const struct weft_case *c, void *call)
{
	if (c->ret_status < 0 || !c->elem)
		return;
	if (c->op == WEFT_SEND)
		san_reads(c->elem, c->chan->elem_size, call);
	else
		san_writes(c->elem, c->chan->elem_size, call);
}

static void finish(struct weft_case *c, const struct chan_step *step, void *call)
{
	if (step->copies_in) {
		c->ret_status = weft__chan_big_copy(c->chan, c->op, step->slot, c->elem);
	} else {
		weft__chan_finish(step, c->op, c->elem);
		c->ret_status = step->status;
	}
	announce_access(c, call);
}

/* Carries out a case that is ready: its index; -1: none is. */
static int take_ready(struct weft_case *cases, size_t n, bool ordered, void *call)
{
	int i;

	/* Ends: one that looked ready and is not was taken by somebody else, or its waiter had
	 * given up and is gone now. */
	while ((i = choose(cases, n, ordered)) >= 0) {
		struct weft_case *c = &cases[i];
		struct chan_step step;
		sync_lock(&c->chan->lock);
		bool done = weft__chan_step_locked(c->chan, c->op, c->elem, &step);
		sync_unlock(&c->chan->lock);
		if (done) {
			finish(c, &step, call);
			return i;
		}
	}
	return -1;
}

/* By the channel's address, then by the case's number. */
static bool comes_later(const struct weft_case *cases, unsigned nth, unsigned other)
{
	uintptr_t chan = (uintptr_t)cases[nth].chan, than = (uintptr_t)cases[other].chan;

	return chan != than ? chan > than : nth > other;
}

/* Fills in .nth: Shell's sort, which has nothing to do for cases that are in order already.
 * Returns how many there are. */
static size_t put_in_order(const struct weft_case *cases, size_t n, struct select_node *nodes)
{
	static const size_t gaps[] = {3907, 1093, 364, 121, 40, 13, 4, 1};
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		if (cases[i].chan)
			nodes[count++].nth = (unsigned)i;
	}
	for (size_t g = 0; g < sizeof gaps / sizeof gaps[0]; g++) {
		for (size_t gap = gaps[g], i = gap; i < count; i++) {
			unsigned nth = nodes[i].nth;
			size_t j = i;
			for (; j >= gap && comes_later(cases, nodes[j - gap].nth, nth); j -= gap)
				nodes[j].nth = nodes[j - gap].nth;
			nodes[j].nth = nth;
		}
	}
	return count;
}

/* Puts the cases of each channel that stands in several into a random order, each order as
 * likely. */
static void shuffle_each_channel(const struct weft_case *cases, struct select_node *nodes,
				 size_t count)
{
	for (size_t k = 0, end = 0; k < count; k++) {
		weft_chan *ch = cases[nodes[k].nth].chan;
		if (end <= k)
			for (end = k + 1; end < count && cases[nodes[end].nth].chan == ch; end++)
				;
		if (end - k < 2)
			continue;
		size_t other = k + random_below((uint32_t)(end - k));
		unsigned nth = nodes[k].nth;
		nodes[k].nth = nodes[other].nth;
		nodes[other].nth = nth;
	}
}

/* A channel that stands in several cases is locked and unlocked once. */
static void lock_all(const struct weft_case *cases, const struct select_node *nodes, size_t count)
{
	weft_chan *previous = NULL;

	for (size_t k = 0; k < count; k++) {
		weft_chan *ch = cases[nodes[k].nth].chan;
		if (ch != previous)
			sync_lock(&ch->lock);
		previous = ch;
	}
}

static void unlock_all(const struct weft_case *cases, const struct select_node *nodes, size_t count)
{
	weft_chan *previous = NULL;

	for (size_t k = 0; k < count; k++) {
		weft_chan *ch = cases[nodes[k].nth].chan;
		if (ch != previous)
			sync_unlock(&ch->lock);
		previous = ch;
	}
}

/* Under all locks: carries out a case that has become ready, or enqueues the `count` nodes in their
 * order (wait is NULL: does not). Its index; -1: none is ready. */
static int take_or_enqueue_locked(struct weft_case *cases, size_t n, struct select_node *nodes,
				  size_t count, bool ordered, struct chan_wait *wait,
				  struct chan_step *step)
{
	int i;

	while ((i = choose(cases, n, ordered)) >= 0) {
		if (weft__chan_step_locked(cases[i].chan, cases[i].op, cases[i].elem, step))
			return i;
	}
	if (!wait)
		return -1;
	weft__wait_begin(&wait->waiter, false);
	for (size_t k = 0; k < count; k++) {
		struct weft_case *c = &cases[nodes[k].nth];
		struct chan_node *node = &nodes[nodes[k].nth].node;
		node->wait = wait;
		node->elem = c->elem;
		node->slot = CHAN_NO_SLOT;
		weft__chan_enqueue_locked(c->chan, c->op, node);
	}
	return -1;
}

static void dequeue_all(struct weft_case *cases, struct select_node *nodes, size_t count,
			const struct chan_node *taken)
{
	weft_chan *locked = NULL;

	for (size_t k = 0; k < count; k++) {
		struct weft_case *c = &cases[nodes[k].nth];
		struct chan_node *node = &nodes[nodes[k].nth].node;
		if (node != taken) {
			if (c->chan != locked) {
				if (locked)
					sync_unlock(&locked->lock);
				locked = c->chan;
				sync_lock(&locked->lock);
			}
			weft__chan_dequeue_locked(c->chan, c->op, node);
		}
		edges_waited(&node->edges, node == taken);
	}
	if (locked)
		sync_unlock(&locked->lock);
}

static int wait_for_one(struct weft_case *cases, size_t n, struct select_node *nodes,
			int64_t deadline, bool ordered, void *call)
{
	bool waits = deadline > 0;
	struct chan_wait wait;
	struct chan_step step;
	size_t count = put_in_order(cases, n, nodes);

	if (waits && !ordered)
		shuffle_each_channel(cases, nodes, count);
	lock_all(cases, nodes, count);
	int i = take_or_enqueue_locked(cases, n, nodes, count, ordered, waits ? &wait : NULL,
				       &step);
	unlock_all(cases, nodes, count);
	if (i >= 0) {
		finish(&cases[i], &step, call);
		return i;
	}
	if (!waits)
		return -ETIMEDOUT;
	enum wait_outcome outcome = weft__wait(&wait.waiter, deadline, true);
	struct chan_node *taken = outcome == WAIT_WOKEN ? wait.taken : NULL;
	dequeue_all(cases, nodes, count, taken);
	if (!taken)
		return outcome == WAIT_TIMEDOUT ? -ETIMEDOUT : -ECANCELED;
	i = (int)((struct select_node *)taken - nodes);
	cases[i].ret_status = taken->slot == CHAN_NO_SLOT
				      ? taken->status
				      : weft__chan_big_copy(cases[i].chan, cases[i].op, taken->slot,
							    cases[i].elem);
	announce_access(&cases[i], call);
	return i;
}

/* Whether the cases name one channel at most: then one look at it is exact. */
static bool one_channel(const struct weft_case *cases, size_t n)
{
	const weft_chan *ch = NULL;

	for (size_t i = 0; i < n; i++) {
		if (ch && cases[i].chan && cases[i].chan != ch)
			return false;
		if (cases[i].chan)
			ch = cases[i].chan;
	}
	return true;
}

static inline int select_case(struct weft_case *cases, size_t n, int64_t deadline, bool ordered,
			      void *call)
{
	if (!valid(cases, n))
		return -EINVAL;
	int i = take_ready(cases, n, ordered, call);
	if (i >= 0) {
		struct worker *w = weft__worker();

		if (w && deadline > 0)
			fast_path(w);
		return i;
	}
	if (deadline <= 0 && one_channel(cases, n))
		return -ETIMEDOUT;
	if (n <= FEW) {
		struct select_node few[FEW];
		return wait_for_one(cases, n, few, deadline, ordered, call);
	}
	san_ignore_begin();
	struct select_node *many = weft__malloc(n * sizeof *many);
	san_ignore_end();
	if (!many)
		return deadline <= 0 ? -ETIMEDOUT : -ENOMEM;
	i = wait_for_one(cases, n, many, deadline, ordered, call);
	san_ignore_begin();
	free(many);
	san_ignore_end();
	return i;
}

int weft_select(struct weft_case *cases, size_t n, int64_t deadline)
{
	return select_case(cases, n, deadline, false, SAN_CALL);
}

int weft_select_ordered(struct weft_case *cases, size_t n, int64_t deadline)
{
	return select_case(cases, n, deadline, true, SAN_CALL);
}
