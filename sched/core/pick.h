/* SPDX-License-Identifier: MIT */
/*
 * A worker's own picks (pick.c), and what it takes from each of its queues. There is one function
 * for each source. pick.c has the order in which a worker's own picks use them. find.c has what the
 * leader does besides.
 *
 * A task that they return can run at once: it has started, or w has a stack for it. NULL has three
 * reasons: there is no task, there is no stack for it (starve.c), or the pick is put off (pick.c).
 */
#ifndef WEFT_CORE_PICK_H
#define WEFT_CORE_PICK_H

#include "coros.h"
#include "execute.h"
#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/fence.h"
#include "starve.h"

#include <stdbool.h>

/* Where a pick gets the stack for an unstarted task. */
enum stack_for {
	STACK_GET, /* one that w keeps, or a new one */
	/* One that w keeps; otherwise the pick is put off, as the caller's wait has begun. */
	STACK_AT_HAND,
	STACK_OWN, /* the caller's own stack; for tasks of the common size */
};

/*
 * Returns the next task from w's own queues. It is cheap, and does not steal. NULL: the queues are
 * empty, or the leader must make a fair pick, or the leader must make this pick.
 */
struct task *weft__pick_local(struct worker *w, enum stack_for stack);

/* Puts this pick off: the leader must make it. t is what the pick has already taken out of its
 * queue, or NULL. */
void weft__put_off(struct worker *w, struct task *t);

/* Lets other tasks run: the task that runs on w goes to the tail of w's queue. Returns the worker
 * on which it goes on. */
static inline WEFT__MAY_HOP WEFT__MUST_USE struct worker *give_way(struct worker *w)
{
	struct task *next = weft__pick_local(w, STACK_GET);

	if (next || w->pick.fair || w->rt->config.chaos.on)
		w = weft__suspend(w, FATE_QUEUE, next);
	return w;
}

/* Every WEFT__ORDERED_PICK picks the ring or the deque comes before the next slot. Every
 * WEFT__LEADER_EVERY picks the leader makes the pick. */
#define WEFT__ORDERED_PICK 8
#define WEFT__LEADER_EVERY 64

/* The number of w's next pick. A caller that already has the task that would come first does not
 * look at the queues, and calls weft__count_pick() instead. */
static inline uint32_t weft__next_pick(const struct worker *w)
{
	/* relaxed: our own. */
	return load_relaxed(&w->picks) + 1;
}

/* Whether the next pick of any worker leaves the usual order, because something is due or chaos is
 * on. */
static inline bool weft__picks_are_special(struct weft_runtime *rt)
{
	/* relaxed: it is enough if the pick after this one sees the flag. */
	return unlikely(load_relaxed(&rt->idle) >> 62 != 0);
}

/* Whether the leader, or chance, makes the pick of that number. */
static inline bool weft__pick_is_special(const struct worker *w, uint32_t pick)
{
	return unlikely(pick % WEFT__LEADER_EVERY == 0) || weft__picks_are_special(w->rt);
}

/* Whether w's next slot and ring are empty, and the ring has no tail in the injection queue. By
 * w. */
static inline bool weft__nothing_ready(struct worker *w)
{
	/* relaxed: only we fill the slot. */
	return !load_relaxed(&w->slot.task) && weft__ring_empty(&w->ring) && !w->pick.overflowed;
}

/* Counts a pick. The watcher sees by the count that this worker still picks. */
static inline uint32_t weft__count_pick(struct worker *w)
{
	/* relaxed: one writer; the reader only compares two readings. */
	uint32_t picks = load_relaxed(&w->picks) + 1;

	store_relaxed(&w->picks, picks);
	return picks;
}

/*
 * Returns t if it can run now. If no stack can be had for an unstarted t, puts t aside (starve.c)
 * and returns NULL. If the pick is put off, returns NULL too.
 */
static inline struct task *startable(struct worker *w, struct task *t, enum stack_for stack)
{
	if (!t || t->coro || (stack == STACK_OWN && !task_reserve(t)))
		return t;
	if (stack == STACK_AT_HAND) {
		if (!task_reserve(t) && weft__coro_at_hand(w))
			return t;
		weft__put_off(w, t);
		return NULL;
	}
	if (weft__can_start_task(w, t))
		return t;
	weft__starved_put(w, t);
	return NULL;
}

/* Returns whether a task of the common stack size can start. If the pick is put off, returns false
 * too. */
static inline bool has_stack(struct worker *w, enum stack_for stack)
{
	if (stack == STACK_OWN || weft__coro_at_hand(w))
		return true;
	if (stack == STACK_AT_HAND) {
		weft__put_off(w, NULL);
		return false;
	}
	return weft__can_start(w);
}

#define WEFT__INJECTION_BATCH 64 /* the most tasks that one look into the injection queue takes */

static inline __attribute__((always_inline)) struct task *from_slot(struct worker *w)
{
	/* relaxed: only we fill the slot. */
	if (!load_relaxed(&w->slot.task))
		return NULL;
	/* Store-load race with raid() in watch.c: taking, then raided. relaxed: the fences
	 * order. */
	store_relaxed(&w->slot.taking, true);
	weft__fence_light();
	struct task *t;
	/* acquire: what the last watcher left in the slot. */
	if (likely(!load_acquire(&w->slot.raided))) {
		/* relaxed, both: the slot is ours alone now, and only we fill it. */
		t = load_relaxed(&w->slot.task);
		store_relaxed(&w->slot.task, NULL);
	} else {
		/* acq_rel: against the watcher's exchange. */
		t = exchange_acq_rel(&w->slot.task, NULL);
	}
	/* release: that the slot is empty, for raid(). */
	store_release(&w->slot.taking, false);
	return t;
}

/* Takes the newest task of the deque. */
struct task *weft__from_deque(struct worker *w, enum stack_for stack);

/* Takes the oldest task of the deque. This costs more than the newest. */
struct task *weft__from_deque_end(struct worker *w, enum stack_for stack);

struct task *weft__from_inbox(struct worker *w, enum stack_for stack);

/* Takes up to max tasks of the injection queue. Returns one, and puts the others into the ring. */
struct task *weft__from_injection(struct worker *w, unsigned max, enum stack_for stack);

/* Takes the oldest task of the ring. While the ring overflows, the injection queue is its tail. */
struct task *weft__from_ring(struct worker *w, enum stack_for stack);

#endif
