/* SPDX-License-Identifier: MIT */
/*
 * A worker's own picks: the order in which it looks into its own queues.
 *
 *   1. slot    the task that was woken last: its data is hot
 *   2. ring    the started task that has waited longest
 *   3. deque   the newest unstarted task: a recursion runs depth first, in bounded memory
 *   4. inbox   tasks for this worker only
 *
 * Fairness. This order alone starves tasks. Two tasks that wake each other never leave the slot.
 * Two tasks that yield never leave the ring. New tasks on the deque bury old ones. So some picks,
 * by their number, use another order:
 *
 *   every 16th  the ring, or eight picks later the deque, comes before the slot.
 *   every 64th  the leader makes the pick, from four sources in turn: the injection queue, the old
 *               end of the deque, the inbox, and tasks that wait for a stack of uncommon size. The
 *               leader also runs the timers then.
 *   due         while something is due, the leader makes every second pick, and serves it (due.c).
 *               Such a pick does not count, and the number's turn comes next.
 *
 * Hence every runnable task that a worker holds is picked after a bounded number of that worker's
 * picks, whatever else arrives. With p tasks before it in its queue the bound is WEFT__FAIR_BOUND *
 * (p + 1). See docs/internals/queues.md.
 *
 * Two functions pick without a look at the queues, and count the pick. A join starts its child
 * (join.c). An end goes on with its joiner (weft__wait_wake_next()). Both do so only where the
 * order above gives the same result, and never at the leader's picks. Under WEFT_CHAOS there is no
 * order: a join does so by chance, and an end never does.
 *
 * Putting off. A waiting task picks its successor after its wait has begun, and its wake may come
 * at any time. The pick must not delay the moment in which the task is parked. So it takes no more
 * memory, and makes no system call. If the successor needs a new stack, or the ring must be filled
 * from the injection queue, the pick ends without a result. The leader then makes it anew.
 */
#include "pick.h"

#include "chaos.h"
#include "coros.h"
#include "due.h"
#include "rouse.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"

#define LEADER_EVERY    WEFT__LEADER_EVERY
#define RING_EVERY      16
#define DEQUE_OFFSET    WEFT__ORDERED_PICK
#define INJECTION_BATCH WEFT__INJECTION_BATCH
#define RING_AHEAD      8

static_assert(RING_EVERY % DEQUE_OFFSET == 0 && LEADER_EVERY % DEQUE_OFFSET == 0,
	      "the others may take the slot without a look at the number");

struct task *weft__from_deque(struct worker *w, enum stack_for stack)
{
	if (weft__deque_empty(&w->deque))
		return NULL;
	/* A task without a stack stays in the deque: there it can still be stolen, or its forker
	 * can run it inline. */
	if (!has_stack(w, stack))
		return NULL;
	return startable(w, weft__deque_pop(&w->deque), stack);
}

struct task *weft__from_inbox(struct worker *w, enum stack_for stack)
{
	struct weft__wfcq_node *node;

	if (weft__wfcq_empty(&w->inbox) || !weft__wfcq_take(&w->inbox, &node, 1, NULL))
		return NULL;
	return startable(w, task_of_link(node), stack);
}

struct task *weft__from_injection(struct worker *w, unsigned max, enum stack_for stack)
{
	struct weft_runtime *rt = w->rt;
	struct weft__wfcq_node *nodes[INJECTION_BATCH];

	if (w->duties.retires || weft__wfcq_empty(&rt->injection))
		return NULL;
	weft__assert_may_be_slow(w);
	if (unlikely(rt->config.chaos.hop))
		max = 1; /* tasks in the ring would be resumed here */
	unsigned count = weft__wfcq_take(&rt->injection, nodes, max, NULL);
	if (count == 0)
		return NULL;
	counter_add(&w->counters.injected, count);
	for (unsigned i = 1; i < count; i++) {
		struct task *t = task_of_link(nodes[i]);

		if (!weft__ring_push(&w->ring, t, task_hint(t)))
			weft__wfcq_enqueue(&rt->injection, nodes[i]);
	}
	/* Tell threads that were turned away while we took, and sleepers, of what is left. */
	bool left = !weft__wfcq_empty(&rt->injection);
	if (left && !w->pick.overflowed)
		weft__announce_due(rt);
	else if (left || count > 1)
		weft__announce(rt);
	if (unlikely(rt->config.chaos.hop) && weft__chaos_passes_on(w, task_of_link(nodes[0])))
		return NULL;
	return startable(w, task_of_link(nodes[0]), stack);
}

/* Takes the oldest task of the ring, and prefetches for a later one. */
static inline __attribute__((always_inline)) struct task *pop_ring(struct worker *w)
{
	uintptr_t hint;
	void *ahead = weft__ring_ahead(&w->ring, RING_AHEAD, &hint);

	if (ahead)
		task_prefetch(ahead, hint);
	return weft__ring_pop(&w->ring);
}

/*
 * While the ring overflows, the injection queue is its tail (ready.c). All tasks keep their place
 * in the line, and the ring is filled again when it is empty.
 */
struct task *weft__from_ring(struct worker *w, enum stack_for stack)
{
	struct task *t = pop_ring(w);

	if (t)
		return startable(w, t, stack);
	if (!w->pick.overflowed)
		return NULL;
	if (stack == STACK_AT_HAND) {
		weft__put_off(w, NULL); /* the ring may have to grow, or a worker to be woken */
		return NULL;
	}
	t = weft__from_injection(w, INJECTION_BATCH, stack);
	if (!t)
		w->pick.overflowed = false;
	return t;
}

struct task *weft__from_deque_end(struct worker *w, enum stack_for stack)
{
	if (weft__deque_empty(&w->deque) || !has_stack(w, stack))
		return NULL;
	return startable(w, weft__deque_pop_oldest(&w->deque), stack);
}

void weft__put_off(struct worker *w, struct task *t)
{
	w->pick.put_off = true;
	w->pick.put_off_task = t;
	/* The leader makes the pick of the same number. relaxed: as in weft__count_pick(). */
	store_relaxed(&w->picks, load_relaxed(&w->picks) - 1);
}

/* Whether the pick goes on: it has found nothing, and is not put off. */
static inline bool goes_on(const struct worker *w, const struct task *t)
{
	return !t && !w->pick.put_off;
}

/* Picks under WEFT_CHAOS. */
static __attribute__((noinline)) struct task *pick_by_chance(struct worker *w, uint32_t pick,
							     enum stack_for stack)
{
	enum { SLOT, RING, DEQUE, DEQUE_END, INBOX, SOURCES };
	struct task *t = NULL;
	uint32_t first = SLOT;

	if (pick % LEADER_EVERY == 0 || weft__chaos_strikes(w, CHAOS_PICK)) {
		w->pick.fair = true;
		w->pick.due = is_due(w->rt);
		return NULL;
	}
	if (weft__chaos_strikes(w, CHAOS_ORDER))
		first = weft__chaos_choose(w, SOURCES);
	for (uint32_t i = 0; i < SOURCES && goes_on(w, t); i++) {
		switch ((first + i) % SOURCES) {
		case SLOT:
			t = from_slot(w);
			break;
		case RING:
			t = weft__from_ring(w, stack);
			break;
		case DEQUE:
			t = weft__from_deque(w, stack);
			break;
		case DEQUE_END:
			t = weft__from_deque_end(w, stack);
			break;
		case INBOX:
			t = weft__from_inbox(w, stack);
			break;
		}
	}
	/* The leader's picks are noted where they are run. */
	if (t && w->task)
		weft__chaos_picked(w, t);
	return t;
}

/* Makes the pick of that number, in the whole order. */
static __attribute__((noinline)) struct task *pick_local(struct worker *w, uint32_t pick,
							 enum stack_for stack)
{
	struct task *t = NULL;

	if (pick % LEADER_EVERY == 0) {
		w->pick.fair = true;
		return NULL;
	}
	if (pick % RING_EVERY == 0)
		t = weft__from_ring(w, stack);
	else if (pick % RING_EVERY == DEQUE_OFFSET)
		t = weft__from_deque(w, stack);

	if (goes_on(w, t))
		t = from_slot(w);
	if (goes_on(w, t))
		t = weft__from_ring(w, stack);
	if (goes_on(w, t))
		t = weft__from_deque(w, stack);
	if (goes_on(w, t) && w->pinned > 0)
		t = weft__from_inbox(w, stack);
	return t;
}

/* The path of tasks that yield: the ring first, and then the whole order. */
static __attribute__((noinline)) struct task *pick_ring(struct worker *w, uint32_t pick,
							enum stack_for stack)
{
	struct task *t = pop_ring(w);

	if (likely(t && t->coro))
		return t;
	if (t) {
		t = startable(w, t, stack);
		if (!goes_on(w, t))
			return t;
	}
	return pick_local(w, pick, stack);
}

/* While something is due the leader makes every second pick, which is not counted. */
static __attribute__((noinline)) struct task *pick_specially(struct worker *w, uint32_t pick,
							     enum stack_for stack)
{
	if (w->rt->config.chaos.on)
		return pick_by_chance(w, pick, stack);
	uint32_t before = pick - 1;
	bool serves = w->pick.served_at != before && !w->duties.retires;
	if (serves) {
		/* relaxed: as in weft__count_pick(). */
		store_relaxed(&w->picks, before);
		w->pick.served_at = before;
	} else {
		struct task *t = pick_local(w, pick, stack);
		if (!goes_on(w, t) || w->pick.fair || w->duties.retires)
			return t;
		w->pick.served_at = pick;
	}
	w->pick.fair = w->pick.due = true;
	return NULL;
}

struct task *weft__pick_local(struct worker *w, enum stack_for stack)
{
	uint32_t pick = weft__count_pick(w);

	/* Between the picks that use another order the slot comes first: this is the path of tasks
	 * that talk to each other. A task in the slot has started. */
	if (weft__picks_are_special(w->rt))
		return pick_specially(w, pick, stack);
	if (likely(pick % DEQUE_OFFSET != 0)) {
		struct task *t = from_slot(w);
		if (t)
			return t;
		return pick_ring(w, pick, stack);
	}
	return pick_local(w, pick, stack);
}
