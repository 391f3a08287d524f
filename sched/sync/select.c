/* SPDX-License-Identifier: MIT */
/*
 * Select.
 *
 *  1. It looks at its channels one after the other, each under its own lock, and carries out one
 *     case that is ready.
 *  2. If none is ready, it locks all of its channels in the order of their addresses and looks
 *     again.
 *  3. It enqueues a node in each channel and waits. The caller that claims it has carried out that
 *     node's case.
 *  4. It takes the other nodes out.
 *
 * It looks under all locks, and while it looks it is in no queue. So it need claim only the partner
 * that it finds waiting, and it never finds a node of its own.
 *
 * Rejected: enqueueing in one channel after the other. Two selects that face each other would have
 * to claim both, and take the first claim back when the second one fails. Callers that skipped the
 * first one meanwhile would have to be told.
 *
 * Each lock is held from the look to the enqueueing, which is all that its channel needs. So a
 * select looks at a channel as soon as it has locked it, even if others are not locked yet. It
 * unlocks a channel as soon as its nodes are in, even if other channels' nodes are not. A partner
 * may claim the select from then on. That partner waits until the select is parked, as every
 * partner does.
 *
 * A select that does not wait may also have to look under all locks before it says that nothing is
 * ready. That holds if it has several channels, or both sides of one channel. Otherwise an element
 * could move from a channel that it has not looked at yet to one that it has passed. One of the two
 * would then be ready at every moment. The same holds for an element and the room for it in a
 * channel with one slot.
 *
 * Chance. Each of the cases that look ready is equally likely. A random place to start from would
 * favour the cases that follow cases that are not ready. A select that waits enqueues its cases on
 * one channel in a random order, because a partner takes the node that was enqueued first. An
 * ordered select involves no chance: it takes the first case that looks ready, and enqueues in
 * order.
 *
 * Programs mostly name each channel once, in the order of the addresses. The first look finds out
 * whether they do. If they do, nothing is sorted or shuffled.
 */
#include "chan_parts.h"
#include "sched/core/patience.h"
#include "sched/core/tls.h"
#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/compiler.h"
#include "src/base/sized.h"
#include "timer_chan.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* Up to this many cases wait without memory from the heap. */
#define FEW 16

/* A place in the order in which channels are locked, which is that of their addresses. */
struct select_node {
	struct chan_node node;
	unsigned nth; /* the number of the case in this place */
};

/* For threads that are not workers. relaxed: it only makes seeds differ. */
static _Atomic uint64_t seeds;

static __attribute__((noinline)) uint32_t random_below(uint32_t n)
{
	struct worker *w = weft__worker();
	struct weft__random once;

	if (w)
		return weft__random_below(&w->random, n);
	weft__random_seed(&once, fetch_add_relaxed(&seeds, 1));
	return weft__random_below(&once, n);
}

/* The choice among the cases that look ready. */
struct choice {
	int chosen; /* -1: none looks ready */
	uint32_t ready;
	bool ordered; /* immutable: take the first of them, not a random one */
};

static inline struct choice no_choice(bool ordered)
{
	return (struct choice){.chosen = -1, .ordered = ordered};
}

/* Takes account of case i, which looks ready. */
static inline void consider(struct choice *choice, size_t i)
{
	/* Each case seen so far is the chosen one with the same probability. */
	if (choice->ready++ == 0 ||
	    (choice->ordered ? (int)i < choice->chosen : random_below(choice->ready) == 0))
		choice->chosen = (int)i;
}

/* Looks at all cases, without locks. */
static int choose(const struct weft_case *cases, size_t n, bool ordered)
{
	struct choice choice = no_choice(ordered);

	for (size_t i = 0; i < n; i++) {
		if (cases[i].chan && chan_looks_ready(cases[i].chan, cases[i].op))
			consider(&choice, i);
	}
	return choice.chosen;
}

/*
 * The first look. Returns false if the arguments are invalid or there are timers among the cases.
 *
 * @ret_rising  Whether each channel's address is higher than that of the channel before.
 */
static inline bool first_look(const struct weft_case *cases, size_t n, struct choice *choice,
			      bool *ret_rising)
{
	uintptr_t highest = 0;
	bool rising = true;

	if (n > INT_MAX || (n > 0 && !cases))
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct weft_case *c = &cases[i];
		const weft_chan *ch = c->chan;

		if (c->op != WEFT_SEND && c->op != WEFT_RECV)
			return false;
		if (!ch)
			continue;
		if (!chan_accepts(ch, c->op, c->elem))
			return false;
		rising &= (uintptr_t)ch > highest;
		highest = (uintptr_t)ch;
		if (chan_looks_ready(ch, c->op))
			consider(choice, i);
	}
	*ret_rising = rising;
	return true;
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

/* Carries out a ready case: case i if it is still ready. Returns its index, or -1 if none is
 * ready. */
static inline __attribute__((always_inline)) int take_ready(struct weft_case *cases, size_t n,
							    int i, bool ordered, void *call)
{
	/* The loop ends. If a case looked ready and is not, somebody else took what was there, or
	 * the waiter had given up and is gone now. */
	while (i >= 0) {
		struct weft_case *c = &cases[i];
		struct chan_step step;
		chan_lock(c->chan);
		bool done = weft__chan_step_locked(c->chan, c->op, c->elem, &step);
		chan_unlock(c->chan);
		if (done) {
			finish(c, &step, call);
			return i;
		}
		i = choose(cases, n, ordered);
	}
	return -1;
}

/* Compares by the channel's address, then by the case's number. */
static bool comes_later(const struct weft_case *cases, unsigned nth, unsigned other)
{
	uintptr_t chan = (uintptr_t)cases[nth].chan, than = (uintptr_t)cases[other].chan;

	return chan != than ? chan > than : nth > other;
}

/* Shell's sort. It has little to do for cases that are almost in order. */
static void sort(const struct weft_case *cases, struct select_node *nodes, size_t count)
{
	static const size_t gaps[] = {3907, 1093, 364, 121, 40, 13, 4, 1};

	for (size_t g = 0; g < sizeof gaps / sizeof gaps[0]; g++) {
		for (size_t gap = gaps[g], i = gap; i < count; i++) {
			unsigned nth = nodes[i].nth;
			size_t j = i;
			for (; j >= gap && comes_later(cases, nodes[j - gap].nth, nth); j -= gap)
				nodes[j].nth = nodes[j - gap].nth;
			nodes[j].nth = nth;
		}
	}
}

/* If a channel stands in several cases, puts these into a random order. Each order is equally
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

/* Fills in .nth. Returns the number of cases that have a channel. */
static inline size_t put_in_order(const struct weft_case *cases, size_t n, bool rising,
				  bool shuffled, struct select_node *nodes)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		if (cases[i].chan)
			nodes[count++].nth = (unsigned)i;
	}
	if (unlikely(!rising)) {
		sort(cases, nodes, count);
		if (shuffled)
			shuffle_each_channel(cases, nodes, count);
	}
	return count;
}

/* Locks all channels and looks at them. A channel that stands in several cases is locked once. */
static inline void lock_and_look(const struct weft_case *cases, const struct select_node *nodes,
				 size_t count, struct choice *choice)
{
	weft_chan *previous = NULL;

	for (const struct select_node *at = nodes; at < nodes + count; at++) {
		const struct weft_case *c = &cases[at->nth];
		weft_chan *ch = c->chan;
		if (ch != previous)
			chan_lock(ch);
		previous = ch;
		if (chan_looks_ready(ch, c->op))
			consider(choice, at->nth);
	}
}

/* Carries out a case that has become ready: case i if it is still ready. Returns its index, or -1
 * if none is ready. */
static int take_locked(struct weft_case *cases, size_t n, int i, bool ordered,
		       struct chan_step *step)
{
	while (i >= 0 && !weft__chan_step_locked(cases[i].chan, cases[i].op, cases[i].elem, step))
		i = choose(cases, n, ordered);
	return i;
}

/* Unlocks all channels. If wait is not NULL, first enqueues the nodes, in their order. */
static inline __attribute__((always_inline)) void unlock_all(const struct weft_case *cases,
							     struct select_node *nodes,
							     size_t count, struct chan_wait *wait)
{
	for (struct select_node *at = nodes, *end = nodes + count; at < end; at++) {
		const struct weft_case *c = &cases[at->nth];
		weft_chan *ch = c->chan;
		if (wait) {
			at->node.wait = wait;
			at->node.elem = c->elem;
			at->node.slot = CHAN_NO_SLOT;
			chan_enqueue_locked(ch, c->op, &at->node);
		}
		if (at + 1 == end || cases[at[1].nth].chan != ch)
			chan_unlock(ch);
	}
}

static inline void dequeue_all(const struct weft_case *cases, struct select_node *nodes,
			       size_t count, const struct chan_node *taken)
{
	weft_chan *locked = NULL;

	for (struct select_node *at = nodes; at < nodes + count; at++) {
		const struct weft_case *c = &cases[at->nth];
		struct chan_node *node = &at->node;
		if (node != taken) {
			if (c->chan != locked) {
				if (locked)
					chan_unlock(locked);
				locked = c->chan;
				chan_lock(locked);
			}
			chan_dequeue_locked(c->chan, c->op, node);
		}
		edges_waited(&node->edges, node == taken);
	}
	if (locked)
		chan_unlock(locked);
}

/* timers: some of the cases are timers, which look like channels (timer_chan.h). Returns -EAGAIN if
 * a timer was reset and the caller must look at everything again. */
static inline WEFT__MAY_HOP __attribute__((always_inline)) int
wait_for_any(struct weft_case *cases, size_t n, struct select_node *nodes, bool rising,
	     int64_t deadline, bool ordered, bool timers, void *call)
{
	struct chan_node *handed = NULL;
	struct chan_wait wait;
	struct chan_step step;
	struct choice choice = no_choice(ordered);
	size_t count = put_in_order(cases, n, rising, deadline > 0 && !ordered, nodes);

	lock_and_look(cases, nodes, count, &choice);
	int64_t until = deadline;
	if (timers) {
		until = weft__timers_fire_locked(cases, n, deadline, &handed);
		choice.chosen = choose(cases, n, ordered);
	}
	if (unlikely(choice.chosen >= 0))
		choice.chosen = take_locked(cases, n, choice.chosen, ordered, &step);
	if (choice.chosen >= 0 || deadline <= 0) {
		unlock_all(cases, nodes, count, NULL);
		if (timers)
			weft__timers_wake(handed);
		if (choice.chosen < 0)
			return -ETIMEDOUT;
		finish(&cases[choice.chosen], &step, call);
		return choice.chosen;
	}
	weft__wait_begin(&wait.waiter, false);
	unlock_all(cases, nodes, count, &wait);
	if (timers)
		weft__timers_wake(handed);
	enum wait_outcome outcome = weft__wait(&wait.waiter, until, true);
	struct chan_node *taken = outcome == WAIT_WOKEN ? wait.taken : NULL;
	dequeue_all(cases, nodes, count, taken);
	if (!taken)
		return wait_errno(outcome);
	if (timers && taken->status == TIMER_RETIMED)
		return -EAGAIN;
	unsigned i = ((struct select_node *)taken)->nth;
	cases[i].ret_status = taken->slot == CHAN_NO_SLOT
				      ? taken->status
				      : weft__chan_big_copy(cases[i].chan, cases[i].op, taken->slot,
							    cases[i].elem);
	announce_access(&cases[i], call);
	return (int)i;
}

static WEFT__MAY_HOP int wait_for_one(struct weft_case *cases, size_t n, struct select_node *nodes,
				      bool rising, int64_t deadline, bool ordered, void *call)
{
	return wait_for_any(cases, n, nodes, rising, deadline, ordered, false, call);
}

/* A copy of its own, so that selects without timers do not test for them. */
static WEFT__MAY_HOP __attribute__((noinline, cold)) int
wait_for_one_or_timer(struct weft_case *cases, size_t n, struct select_node *nodes,
		      int64_t deadline, bool ordered, void *call)
{
	return wait_for_any(cases, n, nodes, false, deadline, ordered, true, call);
}

/* Returns whether the cases name at most one side of one channel. Then one look at it is exact. */
static bool one_side(const struct weft_case *cases, size_t n)
{
	const struct weft_case *one = NULL;

	for (size_t i = 0; i < n; i++) {
		const struct weft_case *c = &cases[i];
		if (!c->chan)
			continue;
		if (one && (c->chan != one->chan || c->op != one->op))
			return false;
		one = c;
	}
	return true;
}

/* take_ready(). After it, a caller that might have waited gives way now and then. */
static inline WEFT__MAY_HOP int take_at_once(struct weft_case *cases, size_t n, int i,
					     int64_t deadline, bool ordered, void *call)
{
	i = take_ready(cases, n, i, ordered, call);
	if (i >= 0) {
		struct worker *w = weft__worker();

		if (w && deadline > 0)
			w = fast_path(w);
	}
	return i;
}

/* wait_for_one(), with memory for the nodes. */
static inline WEFT__MAY_HOP __attribute__((always_inline)) int
wait_in_all(struct weft_case *cases, size_t n, bool rising, int64_t deadline, bool ordered,
	    bool timers, void *call)
{
	struct select_node few[FEW], *nodes = few;
	int i;

	if (n > FEW) {
		san_ignore_begin();
		nodes = weft__malloc(n * sizeof *nodes);
		san_ignore_end();
		if (!nodes)
			return deadline <= 0 ? -ETIMEDOUT : -ENOMEM;
	}
	if (timers)
		i = wait_for_one_or_timer(cases, n, nodes, deadline, ordered, call);
	else
		i = wait_for_one(cases, n, nodes, rising, deadline, ordered, call);
	if (n > FEW) {
		san_ignore_begin();
		free(nodes);
		san_ignore_end();
	}
	return i;
}

/* Returns whether the cases are valid and include timers. */
static bool valid_with_timers(const struct weft_case *cases, size_t n)
{
	bool timers = false;

	if (n > INT_MAX || (n > 0 && !cases))
		return false;
	for (size_t i = 0; i < n; i++) {
		const struct weft_case *c = &cases[i];

		if (c->op == WEFT_TIMER)
			timers = true;
		else if ((c->op != WEFT_SEND && c->op != WEFT_RECV) ||
			 (c->chan && !chan_accepts(c->chan, c->op, c->elem)))
			return false;
	}
	return timers;
}

/* Looks again whenever a timer's deadline has passed or a timer was reset. Not inlined, so that a
 * select without timers saves no registers for it. */
__attribute__((noinline, cold)) int weft__select_timers(struct weft_case *cases, size_t n,
							int64_t deadline, bool ordered, void *call)
{
	if (!valid_with_timers(cases, n))
		return -EINVAL;
	for (;;) {
		weft__timers_fire(cases, n);
		int i = take_at_once(cases, n, choose(cases, n, ordered), deadline, ordered, call);
		if (i < 0)
			i = wait_in_all(cases, n, false, deadline, ordered, true, call);
		if (i >= 0 && cases[i].op == WEFT_TIMER)
			weft__timer_taken(cases[i].chan);
		if (i == -ETIMEDOUT && deadline > 0) {
			/* A last look takes what is ready at the deadline. */
			if (deadline <= weft__clock_now())
				deadline = 0;
		} else if (i != -EAGAIN) {
			return i;
		}
	}
}

static inline WEFT__MAY_HOP int select_case(struct weft_case *cases, size_t n, int64_t deadline,
					    bool ordered, void *call)
{
	struct choice choice = no_choice(ordered);
	bool rising;

	if (!first_look(cases, n, &choice, &rising))
		return weft__select_timers(cases, n, deadline, ordered, call);
	int i = take_at_once(cases, n, choice.chosen, deadline, ordered, call);
	if (i >= 0)
		return i;
	if (deadline <= 0 && one_side(cases, n))
		return -ETIMEDOUT;
	return wait_in_all(cases, n, rising, deadline, ordered, false, call);
}

/* Cases of another version's size: translates them into this version's, carries out the copies, and
 * writes the status back. */
static WEFT__MAY_HOP __attribute__((noinline)) int select_translated(struct weft_case *cases,
								     size_t case_size, size_t n,
								     int64_t deadline, bool ordered,
								     void *call)
{
	const size_t status = offsetof(struct weft_case, ret_status);
	struct weft_case few[FEW], *known = few;
	int rc = 0;

	if (case_size < status + sizeof(int) || n > INT_MAX || (n > 0 && !cases))
		return -EINVAL;
	san_ignore_begin();
	if (n > FEW)
		known = n <= SIZE_MAX / sizeof *known ? weft__malloc(n * sizeof *known) : NULL;
	if (!known)
		rc = -ENOMEM;
	for (size_t i = 0; i < n && rc == 0; i++)
		rc = take_sized(&known[i], sizeof *known, (char *)cases + i * case_size, case_size);
	san_ignore_end();
	if (rc == 0)
		rc = select_case(known, n, deadline, ordered, call);
	if (rc >= 0)
		memcpy((char *)cases + (size_t)rc * case_size + status, &known[rc].ret_status,
		       sizeof(int));
	san_ignore_begin();
	if (known != few)
		free(known);
	san_ignore_end();
	return rc;
}

WEFT__MAY_HOP int weft_select_sized(struct weft_case *cases, size_t case_size, size_t n,
				    int64_t deadline)
{
	if (unlikely(case_size != sizeof(struct weft_case)))
		return select_translated(cases, case_size, n, deadline, false, SAN_CALL);
	return select_case(cases, n, deadline, false, SAN_CALL);
}

WEFT__MAY_HOP int weft_select_ordered_sized(struct weft_case *cases, size_t case_size, size_t n,
					    int64_t deadline)
{
	if (unlikely(case_size != sizeof(struct weft_case)))
		return select_translated(cases, case_size, n, deadline, true, SAN_CALL);
	return select_case(cases, n, deadline, true, SAN_CALL);
}
