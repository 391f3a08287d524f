/* SPDX-License-Identifier: MIT */
/* Timers: what the clock sends, reset, stop, and the plain wait. timer_chan.h describes the
 * protocol. */
#include "timer_chan.h"

#include "chan_parts.h"
#include "self.h"
#include "src/base/clock.h"
#include "src/base/compiler.h"

#include <assert.h>
#include <stdalign.h>

#define TIMER_SIZE (offsetof(struct weft_chan, slots) + sizeof(struct clock_slot))

static_assert(TIMER_SIZE <= sizeof(weft_timer), "a timer fits its public storage");
static_assert(alignof(struct weft_chan) <= alignof(weft_timer), "a timer fits its public storage");
static_assert(offsetof(struct weft_chan, slots) % alignof(struct clock_slot) == 0,
	      "the slot of a timer is aligned");

/* Moves the deadline, which is not after now, on beyond now. Returns how often the timer has
 * expired. */
static uint64_t pass_deadline(struct clock_slot *slot, int64_t now)
{
	int64_t past = now - slot->deadline, next;

	if (slot->period == 0) {
		slot->deadline = WEFT_FOREVER;
		return 1;
	}
	/* The last expiry that is not after now. */
	int64_t last = slot->deadline + past / slot->period * slot->period;
	slot->deadline = __builtin_add_overflow(last, slot->period, &next) ? WEFT_FOREVER : next;
	return (uint64_t)(past / slot->period) + 1;
}

static void fire_locked(weft_chan *ch, int64_t now, struct chan_node **handed)
{
	struct clock_slot *slot = clock_slot(ch);
	struct chan_node *node = NULL;

	if (slot->deadline > now)
		return;
	uint64_t ticks = pass_deadline(slot, now);
	bool full = chan_count(ch) > 0;
	if (!full)
		node = claim_first(&ch->receivers, 0);
	if (node) {
		copy(node->elem, &ticks, sizeof ticks);
		node->next = *handed; /* claimed: its links are ours until its wake */
		*handed = node;
		return;
	}
	slot->ticks = full ? slot->ticks + ticks : ticks;
	chan_set_count(ch, 1);
}

int64_t weft__timers_fire_locked(const struct weft_case *cases, size_t n, int64_t deadline,
				 struct chan_node **handed)
{
	int64_t now = weft__clock_now();

	for (size_t i = 0; i < n; i++) {
		if (cases[i].op != WEFT_TIMER || !cases[i].chan)
			continue;
		fire_locked(cases[i].chan, now, handed);
		int64_t next = clock_slot(cases[i].chan)->deadline;
		if (next < deadline)
			deadline = next;
	}
	return deadline;
}

void weft__timers_wake(struct chan_node *handed)
{
	while (handed) {
		struct chan_node *next = handed->next; /* read before the node's frame may end */
		weft__wait_wake(weft__wakeup_of(&handed->wait->waiter));
		handed = next;
	}
}

void weft__timers_fire(const struct weft_case *cases, size_t n)
{
	int64_t now = weft__clock_now();

	for (size_t i = 0; i < n; i++) {
		weft_chan *ch = cases[i].chan;
		struct chan_node *handed = NULL;
		if (cases[i].op != WEFT_TIMER || !ch)
			continue;
		chan_lock(ch);
		fire_locked(ch, now, &handed);
		chan_unlock(ch);
		weft__timers_wake(handed);
	}
}

void weft__timer_taken(weft_chan *ch)
{
	san_acquire(&clock_slot(ch)->armed);
}

void weft_timer_init(weft_timer *timer)
{
	weft_chan *ch = (weft_chan *)timer;

	san_forget(timer, sizeof *timer);
	memset(timer, 0, sizeof *timer);
	ch->elem_size = sizeof(uint64_t);
	ch->capacity = 1;
	ch->edges = (struct slot_edges *)(void *)clock_slot(ch)->edges;
	clock_slot(ch)->deadline = WEFT_FOREVER;
}

void weft_timer_fini(weft_timer *timer)
{
	weft_chan *ch = (weft_chan *)timer;

	if (queue_first(&ch->receivers))
		weft__sync_misuse("weft_timer_fini", "timer", timer, "still has waiters");
	san_forget(timer, sizeof *timer);
}

/* The deadline was moved to before `old`, so the waiters would look too late. If the timer has
 * already expired, one of them gets the expiry. If the next deadline is still before `old`, the
 * others are claimed, to wait again. Returns the nodes to be woken, the longest waiting first. */
static struct chan_node *retime_locked(weft_chan *ch, int64_t old)
{
	struct chan_node *claimed = NULL, **tail = &claimed;

	fire_locked(ch, weft__clock_now(), &claimed);
	if (claimed)
		tail = &claimed->next;
	if (clock_slot(ch)->deadline < old)
		while ((*tail = claim_first(&ch->receivers, TIMER_RETIMED)))
			tail = &(*tail)->next;
	*tail = NULL;
	return claimed;
}

static bool set(weft_chan *ch, int64_t deadline, int64_t period)
{
	struct clock_slot *slot = clock_slot(ch);
	struct chan_node *claimed = NULL;

	san_release(&slot->armed);
	chan_lock(ch);
	int64_t old = slot->deadline;
	bool was_armed = old != WEFT_FOREVER || chan_count(ch) > 0;
	chan_set_count(ch, 0);
	slot->deadline = deadline;
	slot->period = period;
	if (deadline < old && queue_first(&ch->receivers))
		claimed = retime_locked(ch, old);
	chan_unlock(ch);
	weft__timers_wake(claimed);
	return was_armed;
}

bool weft_timer_reset(weft_timer *timer, int64_t expiry, int64_t period)
{
	if (expiry <= 0)
		expiry = weft__clock_now();
	return set((weft_chan *)timer, expiry, period > 0 ? period : 0);
}

bool weft_timer_stop(weft_timer *timer)
{
	return set((weft_chan *)timer, WEFT_FOREVER, 0);
}

WEFT__MAY_HOP int weft_timer_wait(weft_timer *timer, uint64_t *ret_ticks)
{
	return weft_timer_wait_until(timer, ret_ticks, WEFT_FOREVER);
}

WEFT__MAY_HOP int weft_timer_wait_until(weft_timer *timer, uint64_t *ret_ticks, int64_t deadline)
{
	struct weft_case one = {.op = WEFT_TIMER, .elem = ret_ticks, .timer = timer};

	if (!timer)
		return -EINVAL;
	int rc = weft__select_timers(&one, 1, deadline, true, SAN_CALL);
	return rc < 0 ? rc : 0;
}
