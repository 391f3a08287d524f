/* SPDX-License-Identifier: MIT */
/*
 * The watcher: a worker that sees to it that no task is stranded in a next slot, or as the only
 * task in a deque.
 *
 * The next slots. Others do not steal from a slot while its owner picks: that would tear pairs of
 * tasks apart. But an owner may compute for a second. So if a slot is filled while other workers
 * sleep, and nobody watches, one of them is woken to watch. It counts as the watcher from the
 * moment it is woken, since otherwise every slot that is filled before it arrives would wake
 * another worker. It watches, also while it searches, until it finds work.
 *
 * A watcher naps, and takes a slot's task when the owner has not picked for WATCH_NS. While owners
 * pick its naps double, up to WATCH_MAX_NS. It stops watching when nobody picks and no slot is
 * filled. So a slot's task is taken WATCH_MAX_NS + WATCH_NS after the owner's last pick at the
 * latest.
 *
 * An owner takes from its slot all the time, and a watcher hardly ever does. So the owner loads and
 * stores, and the watcher makes the fence that keeps the two apart (raid()).
 *
 * A worker's only unstarted task is treated like a task in its next slot, except that searchers may
 * steal it at once. Most tasks that spawn one task wait for it next, and then run it themselves. If
 * nobody watches, the first such task wakes a searcher. That worker steals the task if it is still
 * there, and watches from then on. Rejected: a wake-up for each such task, which takes longer than
 * running it.
 *
 * A searching worker also suppresses slot wake-ups, and on a busy system it may never sleep. So it
 * checks the slots itself between its searches, at most once per WATCH_NS. What a look has seen is
 * stored in the owner that was looked at. So it does not matter which worker looks next.
 *
 * There is one watcher at a time: the worker that has changed rt->watching from 0 to 1, until it
 * stores 0. So no two raids run at once.
 */
#include "watch.h"

#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/fence.h"

/*
 * Takes the task out of a slot. Returns NULL if there is none, or the owner is taking it at this
 * moment.
 *
 * Store-load race with from_slot() in pick.h: we store raided, then read taking; it stores taking,
 * then reads raided. We are the cold side, as the owner takes from its slot all the time. Either we
 * see it taking and leave the slot alone. Or it sees us, and touches the slot only by an exchange
 * until we are done.
 */
static struct task *raid(struct worker *owner)
{
	struct task *t = NULL;

	store_relaxed(&owner->slot.raided, true);
	weft__fence_heavy();
	/* acquire: that the owner has emptied the slot. */
	if (!load_acquire(&owner->slot.taking))
		/* acq_rel: the task, released by weft__ready(); and against the owner's
		 * exchange. */
		t = exchange_acq_rel(&owner->slot.task, NULL);
	/* release: the state in which we leave the slot, for the owner. */
	store_release(&owner->slot.raided, false);
	return t;
}

/* Compares an owner with what earlier looks saw, by this watcher or others. Returns whether the
 * owner has anything. */
static bool look_at(struct worker *w, struct worker *owner, int64_t now, struct watch *watch,
		    struct task **ret_task)
{
	uint32_t picks = load_relaxed(&owner->picks);
	bool slot = load_relaxed(&owner->slot.task);
	bool deque = !weft__deque_empty(&owner->deque);

	if (!slot && !deque) {
		owner->slot.watched_since = 0;
		return false;
	}
	if (owner->slot.watched_since == 0 || owner->slot.watched_picks != picks) {
		owner->slot.watched_since = now;
		owner->slot.watched_picks = picks;
		return true;
	}
	if (now - owner->slot.watched_since < WATCH_NS)
		return true;
	owner->slot.watched_since = now; /* start anew: the next task has its own time */
	if (slot)
		*ret_task = raid(owner);
	watch->stuck |= deque && !*ret_task && !w->duties.starving;
	return true;
}

struct task *weft__watch(struct worker *w, struct watch *watch)
{
	struct task *t = NULL;
	int64_t now = weft__clock_now();
	uint32_t all_picks = 0;

	watch->filled = watch->stuck = false;
	weft__rcu_lock();
	struct worker_table *table = worker_table(w->rt);
	uint32_t start = weft__random_below(&w->random, table->count);
	for (unsigned i = 0; i < table->count && !t; i++) {
		struct worker *owner = table->workers[(start + i) % table->count];
		all_picks += load_relaxed(&owner->picks);
		if (owner != w && look_at(w, owner, now, watch, &t))
			watch->filled = true;
	}
	weft__rcu_unlock();
	watch->moved = all_picks != watch->all_picks;
	watch->all_picks = all_picks;
	if (t) {
		counter_add(&w->counters.steals, 1);
		counter_add(&w->counters.stolen, 1);
	}
	return t;
}

struct task *weft__watch_between(struct worker *w, int64_t now)
{
	struct weft_runtime *rt = w->rt;
	struct watch watch = {0};
	uint32_t unwatched = 0;

	if (now < w->idle.next_watch)
		return NULL;
	w->idle.next_watch = now + WATCH_NS;
	if (w->duties.watches)
		return weft__watch(w, &watch);
	/* acquire: the last watcher's raids. */
	if (!cas_acquire(&rt->watching, &unwatched, 1))
		return NULL;
	struct task *t = weft__watch(w, &watch);
	/* release: our raids, for the next watcher. No fence is needed: a slot that has woken
	 * nobody meanwhile relied on our search, and we look at the slots when we stop
	 * searching. */
	store_release(&rt->watching, 0);
	return t;
}

void weft__watch_stop(struct weft_runtime *rt)
{
	/* release: our raids, for the next watcher. */
	store_release(&rt->watching, 0);
	/* store-load race with weft__announce_slot(): watching, then the slots */
	weft__fence_heavy();
}
