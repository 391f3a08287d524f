/* SPDX-License-Identifier: MIT */
/*
 * Finding work: in which order a worker looks where.
 *
 * A worker's own picks go slot, ring, deque, inbox: what was just woken (its data is hot), what
 * waits longest of those that have started, then the newest unstarted task (so that a recursion is
 * run depth first, in bounded memory).
 *
 * Fairness. Taken alone this order starves: two tasks that wake each other never leave the slot,
 * two that yield never leave the ring, and new tasks on the deque bury old ones. So some picks take
 * another order, by their number:
 *
 *   every 16th  the ring, or eight picks later the deque, comes before the slot;
 *   every 64th  is made by the leader, from four sources in turn: the injection queue, the old end
 *               of the deque, the inbox, and tasks that wait for a stack of uncommon size. The
 *               leader also runs the timers then;
 *   while something is due, every second pick is the leader's, which serves it: see due.c. It does
 *               not count, and the number's turn comes next.
 *
 * Hence every runnable task that a worker holds is picked after a bounded number of that worker's
 * picks, whatever else arrives: with p tasks before it in its queue, at most WEFT__FAIR_BOUND * (p
 * + 1). See docs/design.md.
 *
 * Two others pick without a look at the queues, and count it: a join that starts its child
 * (join.c), and an end that goes on with its joiner (weft__wait_wake_next()). Both do so only where
 * the order above would say the same, and never at the leader's picks. (Under WEFT_CHAOS, where
 * there is no order, a join does so by chance, and an end never.)
 *
 * Putting off. The pick of a task that waits comes after its wait has begun, and its wake may come
 * any time. So that it is parked at once, its pick does nothing slow: it takes no more memory, and
 * makes no system call. Where a task needs a new stack, or the ring is to be filled from the
 * injection queue, the pick ends without a result, and the leader makes it anew.
 *
 * Searching. At most half as many workers search at a time as there are processors. A searcher
 * steals (steal.c) and looks at what all share, for WEFT_SPIN microseconds, then sleeps (park.c).
 *
 * It searches that long only if that would have paid lately: if one of the last four times without
 * work ended within WEFT_SPIN. Else it looks everywhere once. What a worker uses up by searching in
 * vain, the kernel makes it pay for: who is woken then does not get the waker's processor before
 * that one sleeps.
 */
#include "find.h"
#include "sched/os/clock.h"
#include "sched/os/cpu_relax.h"
#include "sched/os/membarrier.h"
#include "wait.h"
#include "watch.h"

#define LEADER_EVERY    WEFT__LEADER_EVERY
#define RING_EVERY      16
#define DEQUE_OFFSET    WEFT__ORDERED_PICK
#define FAIR_SOURCES    4
#define INJECTION_BATCH 64
#define RING_AHEAD      8
#define SEARCH_PAUSES   128
#define IDLES_SEEN      0xf /* of worker.short_idles: the last four */

static_assert(RING_EVERY % DEQUE_OFFSET == 0 && LEADER_EVERY % DEQUE_OFFSET == 0,
	      "the others may take the slot without a look at the number");
static_assert(WEFT__FAIR_BOUND == LEADER_EVERY * FAIR_SOURCES, "what the documentation promises");

static inline __attribute__((always_inline)) struct task *from_slot(struct worker *w)
{
	/* relaxed: only we fill the slot. */
	if (!atomic_load_explicit(&w->slot, memory_order_relaxed))
		return NULL;
	/* Store-load race with raid() in watch.c: taking, then raided. relaxed: the fences
	 * order. */
	atomic_store_explicit(&w->taking, true, memory_order_relaxed);
	weft__fence_light();
	struct task *t;
	/* acquire: what the last watcher left in the slot. */
	if (__builtin_expect(!atomic_load_explicit(&w->raided, memory_order_acquire), 1)) {
		/* relaxed, both: it is ours alone, and only we fill it. */
		t = atomic_load_explicit(&w->slot, memory_order_relaxed);
		atomic_store_explicit(&w->slot, NULL, memory_order_relaxed);
	} else {
		/* acq_rel: against the watcher's exchange. */
		t = atomic_exchange_explicit(&w->slot, NULL, memory_order_acq_rel);
	}
	/* release: that it is empty, for raid(). */
	atomic_store_explicit(&w->taking, false, memory_order_release);
	return t;
}

static struct task *from_deque(struct worker *w, enum stack_for stack)
{
	if (weft__deque_empty(&w->deque))
		return NULL;
	/* Not taken out without a stack for it: here it can still be stolen, or run inline by who
	 * forked it. */
	if (!has_stack(w, stack))
		return NULL;
	return startable(w, weft__deque_pop(&w->deque), stack);
}

static struct task *from_inbox(struct worker *w, enum stack_for stack)
{
	struct weft__wfcq_node *node;

	if (weft__wfcq_empty(&w->inbox) || !weft__wfcq_take(&w->inbox, &node, 1, NULL))
		return NULL;
	return startable(w, task_of_link(node), stack);
}

/* Whether a pick that has found t goes on: it has found nothing, and is not put off. */
static inline bool goes_on(const struct worker *w, const struct task *t)
{
	return !t && !w->put_off;
}

/* Takes up to max tasks of the injection queue: one for now, the others to the ring. */
static struct task *from_injection(struct worker *w, unsigned max, enum stack_for stack)
{
	struct weft_runtime *rt = w->rt;
	struct weft__wfcq_node *nodes[INJECTION_BATCH];

	if (w->retires || weft__wfcq_empty(&rt->injection))
		return NULL;
	weft__assert_may_be_slow(w);
	if (__builtin_expect(rt->config.chaos.hop, 0))
		max = 1; /* what goes to the ring would be resumed here */
	unsigned count = weft__wfcq_take(&rt->injection, nodes, max, NULL);
	if (count == 0)
		return NULL;
	counter_add(&w->counters.injected, count);
	for (unsigned i = 1; i < count; i++) {
		struct task *t = task_of_link(nodes[i]);

		if (!weft__ring_push(&w->ring, t, task_hint(t)))
			weft__wfcq_enqueue(&rt->injection, nodes[i]);
	}
	/* Those who were turned away while we took, and those who sleep, learn of what is left. */
	bool left = !weft__wfcq_empty(&rt->injection);
	if (left && !w->overflowed)
		weft__announce_due(rt);
	else if (left || count > 1)
		weft__announce(rt);
	if (__builtin_expect(rt->config.chaos.hop, 0) &&
	    weft__chaos_passes_on(w, task_of_link(nodes[0])))
		return NULL;
	return startable(w, task_of_link(nodes[0]), stack);
}

/* What w, which has slept, is to run: t, or what it was handed meanwhile. If there are both, the
 * latter may be overtaken by what was submitted after it. */
static struct task *or_handed(struct worker *w, struct task *t)
{
	struct task *handed = from_hand(w);

	if (!handed)
		return t;
	if (t) {
		weft__inject(w->rt, handed);
		return t;
	}
	counter_add(&w->counters.injected, 1);
	return startable(w, handed, STACK_GET);
}

/* Takes the oldest of the ring, and has loaded what one of the next will need. */
static inline __attribute__((always_inline)) struct task *pop_ring(struct worker *w)
{
	uintptr_t hint;
	void *ahead = weft__ring_ahead(&w->ring, RING_AHEAD, &hint);

	if (ahead)
		task_prefetch(ahead, hint);
	return weft__ring_pop(&w->ring);
}

/*
 * While the ring overflows, the injection queue is its tail (ready.c): everybody keeps their place
 * in the line, and the ring is filled anew when it is empty.
 */
static struct task *from_ring(struct worker *w, enum stack_for stack)
{
	struct task *t = pop_ring(w);

	if (t)
		return startable(w, t, stack);
	if (!w->overflowed)
		return NULL;
	if (stack == STACK_AT_HAND) {
		weft__put_off(w, NULL); /* the ring may have to grow, a worker to be woken */
		return NULL;
	}
	t = from_injection(w, INJECTION_BATCH, stack);
	if (!t)
		w->overflowed = false;
	return t;
}

/* The oldest of the deque, which costs more than the newest. */
static struct task *from_deque_end(struct worker *w, enum stack_for stack)
{
	if (weft__deque_empty(&w->deque) || !has_stack(w, stack))
		return NULL;
	return startable(w, weft__deque_pop_oldest(&w->deque), stack);
}

/* Picks under WEFT_CHAOS. */
static __attribute__((noinline)) struct task *pick_by_chance(struct worker *w, uint32_t pick,
							     enum stack_for stack)
{
	enum { SLOT, RING, DEQUE, DEQUE_END, INBOX, SOURCES };
	struct task *t = NULL;
	uint32_t first = SLOT;

	if (pick % LEADER_EVERY == 0 || weft__chaos_strikes(w, CHAOS_PICK)) {
		w->fair = true;
		w->due = is_due(w->rt);
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
			t = from_ring(w, stack);
			break;
		case DEQUE:
			t = from_deque(w, stack);
			break;
		case DEQUE_END:
			t = from_deque_end(w, stack);
			break;
		case INBOX:
			t = from_inbox(w, stack);
			break;
		}
	}
	/* The leader's picks are noted where it runs them. */
	if (t && w->task)
		weft__chaos_picked(w, t);
	return t;
}

/* The pick of that number, in the whole order. */
static __attribute__((noinline)) struct task *pick_local(struct worker *w, uint32_t pick,
							 enum stack_for stack)
{
	struct task *t = NULL;

	if (pick % LEADER_EVERY == 0) {
		w->fair = true;
		return NULL;
	}
	if (pick % RING_EVERY == 0)
		t = from_ring(w, stack);
	else if (pick % RING_EVERY == DEQUE_OFFSET)
		t = from_deque(w, stack);

	if (goes_on(w, t))
		t = from_slot(w);
	if (goes_on(w, t))
		t = from_ring(w, stack);
	if (goes_on(w, t))
		t = from_deque(w, stack);
	if (goes_on(w, t) && w->pinned > 0)
		t = from_inbox(w, stack);
	return t;
}

/* The way of tasks that yield: the ring, and only then the whole order. */
static __attribute__((noinline)) struct task *pick_ring(struct worker *w, uint32_t pick,
							enum stack_for stack)
{
	struct task *t = pop_ring(w);

	if (__builtin_expect(t && t->coro, 1))
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
	bool serves = w->served_at != before && !w->retires;
	if (serves) {
		/* relaxed: as in weft__count_pick(). */
		atomic_store_explicit(&w->picks, before, memory_order_relaxed);
		w->served_at = before;
	} else {
		struct task *t = pick_local(w, pick, stack);
		if (!goes_on(w, t) || w->fair || w->retires)
			return t;
		w->served_at = pick;
	}
	w->fair = w->due = true;
	return NULL;
}

struct task *weft__pick_local(struct worker *w, enum stack_for stack)
{
	uint32_t pick = weft__count_pick(w);

	/* Between those picks that take another order the slot comes first: the way of tasks that
	 * talk to each other. What is in the slot has started. */
	if (weft__picks_are_special(w->rt))
		return pick_specially(w, pick, stack);
	if (__builtin_expect(pick % DEQUE_OFFSET != 0, 1)) {
		struct task *t = from_slot(w);
		if (t)
			return t;
		return pick_ring(w, pick, stack);
	}
	return pick_local(w, pick, stack);
}

/* What the order of weft__pick_local() neglects; each source comes first in its turn. */
static struct task *pick_fair(struct worker *w)
{
	struct task *t = NULL;

	for (unsigned i = 0; i < FAIR_SOURCES && !t; i++) {
		switch (w->fair_turn++ % FAIR_SOURCES) {
		case 0:
			t = from_injection(w, 1, STACK_GET);
			break;
		case 1:
			t = from_deque_end(w, STACK_GET);
			break;
		case 2:
			t = from_inbox(w, STACK_GET);
			break;
		case 3:
			t = weft__starved_take(w);
			break;
		}
	}
	return t;
}

/*
 * Makes runnable what waits for a time that has come, whoever's heap it is in, and tends the depot.
 * Whether it is to be tended again at once.
 *
 * @beside  w has other tasks: what has come goes to the injection queue, and the caller sees to it.
 */
static bool run_timers(struct worker *w, bool beside)
{
	struct weft_runtime *rt = w->rt;
	/* acquire: pairs with the release that published the record. */
	unsigned count = atomic_load_explicit(&rt->record_count, memory_order_acquire);
	int64_t now = 0;
	bool more = false;

	if (chaos_at(w, CHAOS_TIMERS))
		return false;
	/* relaxed: a hint, as below. */
	if (atomic_load_explicit(&rt->depot.due, memory_order_relaxed) != WEFT_FOREVER) {
		now = weft__clock_now();
		more = weft__depot_tend(&rt->depot, now, w);
	}
	for (unsigned i = 0; i < count; i++) {
		struct timers *timers = &rt->records[i]->timers;
		/* relaxed: a hint; weft__expire() looks again. */
		if (atomic_load_explicit(&timers->earliest, memory_order_relaxed) == WEFT_FOREVER)
			continue;
		if (now == 0)
			now = weft__clock_now();
		weft__expire(w, timers, now, beside);
	}
	return more;
}

/* By the leader: see due.c. */
static struct task *serve_due(struct worker *w)
{
	struct weft_runtime *rt = w->rt;

	weft__clear_due(rt);
	run_timers(w, true);
	int64_t timer = weft__earliest_timer(rt);
	/* relaxed: see timekeeper.c. */
	if (timer < atomic_load_explicit(&rt->keeper_deadline, memory_order_relaxed))
		weft__timekeeper_engage(w, timer);
	return from_injection(w, 1, STACK_GET);
}

/* The leader's pick where the order has its turn. */
static struct task *serve_fair(struct worker *w)
{
	run_timers(w, true);
	struct task *t = pick_fair(w);
	if (!w->overflowed && !weft__wfcq_empty(&w->rt->injection))
		weft__announce_due(w->rt);
	return t;
}

static int64_t spin_ns(const struct worker *w)
{
	return (int64_t)w->rt->config.spin_us * 1000;
}

/* w has something to do: notes whether it had been without for so short that it pays to spin. */
static void end_idle(struct worker *w)
{
	if (w->idle_since == 0)
		return;
	int64_t end = w->roused_at ? w->roused_at : weft__clock_now();
	w->short_idles = (uint8_t)(w->short_idles << 1 | (end - w->idle_since < spin_ns(w)));
	w->idle_since = 0;
}

/* Looks everywhere: once, or for as long as configured if that has paid lately. */
static struct task *search(struct worker *w)
{
	int64_t spin = spin_ns(w);
	int64_t give_up = 0;

	if (!w->searching && !weft__search_start(w))
		return NULL;
	for (;;) {
		struct task *t = chaos_at(w, CHAOS_STEAL) ? NULL : weft__steal(w);
		/* A batch may have begun with one that cannot start. */
		if (!t)
			t = from_ring(w, STACK_GET);
		if (!t)
			t = from_deque(w, STACK_GET);
		if (!t)
			t = from_inbox(w, STACK_GET);
		if (!t)
			t = from_injection(w, INJECTION_BATCH, STACK_GET);
		if (t || spin == 0)
			return t;
		/* What waits for a time does not wait for the search's end; it is woken into our
		 * slot. */
		bool more = run_timers(w, false);
		t = from_slot(w);
		if (t)
			return t;
		if (more) {
			give_up = 0;
			continue;
		}
		int64_t now = weft__clock_now();
		if (w->idle_since == 0) {
			w->idle_since = now;
			w->roused_at = 0;
		}
		t = weft__watch_between(w, now);
		if (t)
			return t;
		/* Who spares a ring would get up from its sleep for what is in it. */
		if (!w->spares_rings) {
			if (!(w->short_idles & IDLES_SEEN))
				return NULL;
			if (give_up == 0)
				give_up = now + spin;
			else if (now >= give_up)
				return NULL;
		}
		for (unsigned i = 0; i < SEARCH_PAUSES; i++)
			weft__cpu_relax();
	}
}

/* The whole order, and all that is not in it. *ret_more: as run_timers(). */
static struct task *look_around(struct worker *w, bool *ret_more)
{
	struct task *t;

	*ret_more = false;
	if (w->fair) {
		/* One that was told to retire on the way here takes nothing that is due, so it leaves
		 * DUE to the others. */
		t = w->due && !w->retires ? serve_due(w) : serve_fair(w);
		w->fair = w->due = false;
		if (t)
			return t;
	}
	t = weft__pick_local(w, STACK_GET);
	if (t || w->fair)
		return t;

	t = from_inbox(w, STACK_GET);
	if (!t && !w->retires && is_due(w->rt))
		t = serve_due(w);
	if (!t)
		t = from_injection(w, INJECTION_BATCH, STACK_GET);
	if (!t)
		t = weft__starved_take(w);
	if (t)
		return t;
	*ret_more = run_timers(w, false);
	return weft__pick_local(w, STACK_GET);
}

void weft__put_off(struct worker *w, struct task *t)
{
	w->put_off = true;
	w->put_off_task = t;
	/* The leader makes the pick of the same number. relaxed: as in weft__count_pick(). */
	atomic_store_explicit(&w->picks, atomic_load_explicit(&w->picks, memory_order_relaxed) - 1,
			      memory_order_relaxed);
}

/* What the pick that was put off has taken out of its queue already, or NULL. */
static struct task *resume_pick(struct worker *w)
{
	struct task *t = w->put_off_task;

	w->put_off = false;
	w->put_off_task = NULL;
	return startable(w, t, STACK_GET);
}

struct task *weft__find(struct worker *w)
{
	if (w->put_off) {
		struct task *t = resume_pick(w);
		if (t)
			return t;
	}
	for (;;) {
		/* acquire: pairs with the release of who stops the runtime. */
		if (atomic_load_explicit(&w->rt->stopped, memory_order_acquire))
			return NULL;
		w->retires = atomic_load_explicit(&w->retiring, memory_order_relaxed);
		if (w->retires) {
			/* It was perhaps woken, hence counted, for work that it will not look
			 * for. */
			if (w->searching)
				weft__search_stop(w);
			weft__hand_over(w);
			if (w->pinned == 0 && weft__worker_leave(w))
				return NULL;
		}
		bool more;
		struct task *t = look_around(w, &more);
		if (!t && w->fair)
			continue;
		if (!t && !w->retires)
			t = search(w);
		if (t) {
			if (w->searching)
				weft__search_stop(w);
			end_idle(w);
			return t;
		}
		/* The depot is ours to tend, and no keeper comes before a window has passed. */
		if (more)
			continue;
		weft__sleep_announce(w);
		t = from_inbox(w, STACK_GET);
		if (!t && !w->retires)
			t = from_injection(w, 1, STACK_GET);
		if (t)
			weft__get_up(w);
		else
			t = weft__sleep(w);
		t = or_handed(w, t);
		if (t) {
			if (w->searching)
				weft__search_stop(w);
			end_idle(w);
			return t;
		}
	}
}

void weft__hand_over(struct worker *w)
{
	struct task *t;

	while ((t = from_slot(w)))
		weft__inject(w->rt, t);
	while ((t = weft__ring_pop(&w->ring)))
		weft__inject(w->rt, t);
	while ((t = weft__deque_pop(&w->deque)))
		weft__inject(w->rt, t);
	w->overflowed = false;
}
