/* SPDX-License-Identifier: MIT */
/*
 * Select. First it looks at its channels one after the other, each under its own lock, and carries
 * out one that is ready. If none is, it locks all of them, in the order of their addresses, looks
 * again, enqueues a node in each, and waits; whoever claims it has carried out that node's case.
 * Then it takes the other nodes out.
 *
 * It looks under all locks, and is nowhere enqueued while it looks. So only the one that is found
 * waiting must be claimed. (Rejected: enqueueing in one channel after the other. Two selects that
 * face each other would have to claim both, and take the first claim back when the second fails.
 * Whoever had passed over the first in the meantime would have to be told.) It never finds a node
 * of its own.
 *
 * Each lock is held from the look to the enqueueing, which is all that its channel needs. So a
 * channel is looked at as soon as it is locked, though others are not locked yet, and unlocked as
 * soon as its nodes are in, though others' are not. It may be claimed from then on: that partner
 * waits for the select to be parked, as every partner does.
 *
 * One that does not wait looks under all locks as well before it says that nothing is ready, if it
 * has several channels, or both sides of one. Otherwise an element could go from one that it has yet
 * to look at to one that it has passed, with one of the two ready at every moment. So could the room
 * for an element, and an element, in a channel with one slot.
 *
 * Chance: of the cases that look ready each is as likely. A random place to start from would favour
 * those that come after cases that are not ready. A select that waits enqueues its cases on one
 * channel in a random order, because a partner takes the node that was enqueued first. An ordered
 * select has no part in chance: it takes the first case that looks ready, and enqueues in order.
 *
 * Programs mostly name channels in the order of their addresses, each once. The first look finds
 * out whether they are, and then nothing is sorted or shuffled.
 */
#include "chan_parts.h"
#include "sched/core/patience.h"
#include "sched/os/clock.h"
#include "src/alloc.h"
#include "src/sized.h"
#include "timer_chan.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* Up to so many cases wait without memory from the heap. */
#define FEW 16

/* A place in the order in which channels are locked: by their addresses. */
struct select_node {
	struct chan_node node;
	unsigned nth; /* the number of the case that has this place */
};

/* For threads that are no workers. relaxed: only makes seeds differ. */
static _Atomic uint64_t seeds;

static __attribute__((noinline)) uint32_t random_below(uint32_t n)
{
	struct worker *w = weft__worker();
	struct weft__random once;

	if (w)
		return weft__random_below(&w->random, n);
	weft__random_seed(&once, atomic_fetch_add_explicit(&seeds, 1, memory_order_relaxed));
	return weft__random_below(&once, n);
}

/* Which of the cases that look ready is to be carried out. */
struct choice {
	int chosen; /* -1: none looks ready */
	uint32_t ready;
	bool ordered; /* immutable: the first of them, else any */
};

static inline struct choice no_choice(bool ordered)
{
	return (struct choice){.chosen = -1, .ordered = ordered};
}

/* Case i looks ready. */
static inline void consider(struct choice *choice, size_t i)
{
	/* Each of those seen so far stays chosen with the same chance. */
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
 * The first look. false: the arguments are invalid, or there are timers among the cases.
 *
 * @ret_rising  Whether each channel's address is higher than that of the one before.
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

/* Carries out a case that is ready, case i if it is still: its index; -1: none is. */
static inline __attribute__((always_inline)) int take_ready(struct weft_case *cases, size_t n,
							    int i, bool ordered, void *call)
{
	/* Ends: one that looked ready and is not was taken by somebody else, or its waiter had
	 * given up and is gone now. */
	while (i >= 0) {
		struct weft_case *c = &cases[i];
		struct chan_step step;
		sync_lock(&c->chan->lock);
		bool done = weft__chan_step_locked(c->chan, c->op, c->elem, &step);
		sync_unlock(&c->chan->lock);
		if (done) {
			finish(c, &step, call);
			return i;
		}
		i = choose(cases, n, ordered);
	}
	return -1;
}

/* By the channel's address, then by the case's number. */
static bool comes_later(const struct weft_case *cases, unsigned nth, unsigned other)
{
	uintptr_t chan = (uintptr_t)cases[nth].chan, than = (uintptr_t)cases[other].chan;

	return chan != than ? chan > than : nth > other;
}

/* Shell's sort, which has little to do for cases that are almost in order. */
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

/* Fills in .nth. Returns how many cases there are. */
static inline size_t put_in_order(const struct weft_case *cases, size_t n, bool rising,
				  bool shuffled, struct select_node *nodes)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++) {
		if (cases[i].chan)
			nodes[count++].nth = (unsigned)i;
	}
	if (__builtin_expect(!rising, 0)) {
		sort(cases, nodes, count);
		if (shuffled)
			shuffle_each_channel(cases, nodes, count);
	}
	return count;
}

/* Locks all channels and looks at them. One that stands in several cases is locked once. */
static inline void lock_and_look(const struct weft_case *cases, const struct select_node *nodes,
				 size_t count, struct choice *choice)
{
	weft_chan *previous = NULL;

	for (const struct select_node *at = nodes; at < nodes + count; at++) {
		const struct weft_case *c = &cases[at->nth];
		weft_chan *ch = c->chan;
		if (ch != previous)
			sync_lock(&ch->lock);
		previous = ch;
		if (chan_looks_ready(ch, c->op))
			consider(choice, at->nth);
	}
}

/* Carries out a case that has become ready, case i if it is still. Its index; -1: none is. */
static int take_locked(struct weft_case *cases, size_t n, int i, bool ordered,
		       struct chan_step *step)
{
	while (i >= 0 && !weft__chan_step_locked(cases[i].chan, cases[i].op, cases[i].elem, step))
		i = choose(cases, n, ordered);
	return i;
}

/* Unlocks all channels. wait: if not NULL, the nodes are enqueued before, in their order. */
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
			sync_unlock(&ch->lock);
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
					sync_unlock(&locked->lock);
				locked = c->chan;
				sync_lock(&locked->lock);
			}
			chan_dequeue_locked(c->chan, c->op, node);
		}
		edges_waited(&node->edges, node == taken);
	}
	if (locked)
		sync_unlock(&locked->lock);
}

/* timers: there are some among the cases, which look like channels (timer_chan.h). -EAGAIN: one was
 * reset, and all is to be looked at anew. */
static inline __attribute__((always_inline)) int wait_for_any(struct weft_case *cases, size_t n,
							      struct select_node *nodes,
							      bool rising, int64_t deadline,
							      bool ordered, bool timers, void *call)
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
	if (__builtin_expect(choice.chosen >= 0, 0))
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

static int wait_for_one(struct weft_case *cases, size_t n, struct select_node *nodes, bool rising,
			int64_t deadline, bool ordered, void *call)
{
	return wait_for_any(cases, n, nodes, rising, deadline, ordered, false, call);
}

/* A copy of its own, so that selects without timers do not ask for them. */
static __attribute__((noinline, cold)) int wait_for_one_or_timer(struct weft_case *cases, size_t n,
								 struct select_node *nodes,
								 int64_t deadline, bool ordered,
								 void *call)
{
	return wait_for_any(cases, n, nodes, false, deadline, ordered, true, call);
}

/* Whether the cases name one channel at most, and one side of it: then one look at it is exact. */
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

/* take_ready() for the caller, who gives way now and then all the same. */
static inline int take_at_once(struct weft_case *cases, size_t n, int i, int64_t deadline,
			       bool ordered, void *call)
{
	i = take_ready(cases, n, i, ordered, call);
	if (i >= 0) {
		struct worker *w = weft__worker();

		if (w && deadline > 0)
			fast_path(w);
	}
	return i;
}

/* With memory for the nodes. */
static inline __attribute__((always_inline)) int wait_in_all(struct weft_case *cases, size_t n,
							     bool rising, int64_t deadline,
							     bool ordered, bool timers, void *call)
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

/* Whether the cases are valid, and timers are among them. */
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

/* Looks again whenever a timer's deadline has passed, or one was reset. Not inlined: a select without
 * timers saves no registers for it. */
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
			/* A last look: what is ready at the deadline is taken. */
			if (deadline <= weft__clock_now())
				deadline = 0;
		} else if (i != -EAGAIN) {
			return i;
		}
	}
}

static inline int select_case(struct weft_case *cases, size_t n, int64_t deadline, bool ordered,
			      void *call)
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

/* Cases as another version knows them: carries out copies of them that are as this one does. */
static __attribute__((noinline)) int select_translated(struct weft_case *cases, size_t case_size,
						       size_t n, int64_t deadline, bool ordered,
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

int weft_select_sized(struct weft_case *cases, size_t case_size, size_t n, int64_t deadline)
{
	if (__builtin_expect(case_size != sizeof(struct weft_case), 0))
		return select_translated(cases, case_size, n, deadline, false, SAN_CALL);
	return select_case(cases, n, deadline, false, SAN_CALL);
}

int weft_select_ordered_sized(struct weft_case *cases, size_t case_size, size_t n, int64_t deadline)
{
	if (__builtin_expect(case_size != sizeof(struct weft_case), 0))
		return select_translated(cases, case_size, n, deadline, true, SAN_CALL);
	return select_case(cases, n, deadline, true, SAN_CALL);
}
