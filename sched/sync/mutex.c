/* SPDX-License-Identifier: MIT */
/* Locking and unlocking a mutex. mutex.h describes the design. */
#include "mutex.h"
#include "sched/core/chaos.h"
#include "src/base/compiler.h"

#include "sched/core/patience.h"
#include "sched/core/runtime.h"
#include "src/base/atomic.h"
#include "src/base/clock.h"
#include "src/base/cpu_relax.h"

#include <errno.h>

/* How long a waiter loses to others before it is handed the mutex. */
#define OVERDUE_NS 1000000

/* A caller that spins looks this many times: about the length of a short critical section. */
#define SPINS       4
#define SPIN_PAUSES 30

/*
 * Returns whether spinning is worth it: whether the holder runs now, on another processor. A holder
 * that is a task runs if its worker has picked nothing else since the lock. The answer is sometimes
 * wrong: the holder may be on another runtime's worker, or may only have called weft_yield(). The
 * cost is a short spin too many or too few.
 */
static bool holder_runs(struct mutex *m, const struct worker *w, uint64_t word)
{
	if (word & IDENTITY_THREAD || !w)
		return true;
	uint64_t at = load_relaxed(&m->held_at);
	uint32_t id = (uint32_t)(at >> 32) - 1;
	/* acquire: pairs with the release that published the record. */
	if (id == w->id || id >= load_acquire(&w->rt->record_count))
		return false;
	return load_relaxed(&w->rt->records[id]->picks) == (uint32_t)at;
}

/* Spins for a moment. Returns true if the caller has the mutex. */
static bool spin(struct mutex *m, const struct worker *w, uint64_t self)
{
	for (unsigned i = 0; i < SPINS; i++) {
		/* relaxed: a hint; the compare-and-swap decides. */
		uint64_t word = load_relaxed(&m->word);
		if (mutex_holder(word) == 0) {
			/* acquire: as in mutex_lock_fast(). */
			if (cas_weak_acquire(&m->word, &word, word | self))
				return true;
		} else if (!holder_runs(m, w, word)) {
			return false;
		}
		for (unsigned pause = 0; pause < SPIN_PAUSES; pause++)
			weft__cpu_relax();
	}
	return false;
}

/*
 * Takes the mutex if it is free, and returns true. Otherwise it makes sure that the holder's unlock
 * wakes the first in the queue. No wake is lost, because both are one step. (a) If an unlock comes
 * before it, we get the mutex. (b) If an unlock comes after it, that unlock sees the flags.
 */
static bool take_or_queue_locked(struct mutex *m, uint64_t self, uint64_t no_longer)
{
	uint64_t word = load_relaxed(&m->word), next;
	bool taken;

	do {
		taken = mutex_holder(word) == 0;
		next = taken ? word | self : (word | MUTEX_QUEUED) & ~no_longer;
		/* acquire: as in mutex_lock_fast(). */
	} while (!cas_weak_acquire(&m->word, &word, next));
	return taken;
}

/* After a waiter took its own node out. The caller passes the flags that no longer hold. */
static void drop_flags_locked(struct mutex *m, uint64_t no_longer)
{
	if (!sync_first(&m->queue))
		no_longer |= MUTEX_QUEUED;
	/* relaxed: publishes nothing. */
	if (no_longer)
		fetch_and_relaxed(&m->word, ~no_longer);
}

int weft__mutex_lock_slow(struct mutex *m, struct worker *w, uint64_t self, int64_t deadline,
			  const char *call)
{
	struct mutex_node node;

	/* relaxed: only the caller itself stores its identity there. */
	if (mutex_holder(load_relaxed(&m->word)) == self)
		weft__sync_misuse(call, "mutex", m, "is held by the caller already");
	if (!chaos_at(w, CHAOS_LOCK) && spin(m, w, self)) {
		mutex_note_holder(m, w);
		return 0;
	}
	if (deadline <= 0)
		return -ETIMEDOUT;
	mutex_node_init(&node, self);
	weft__wait_begin(&node.n.waiter, deadline == WEFT_FOREVER);
	sync_lock(&m->queue.lock);
	if (take_or_queue_locked(m, self, 0)) {
		sync_unlock(&m->queue.lock);
		weft__wait_abandon(&node.n.waiter);
		mutex_note_holder(m, w);
		return 0;
	}
	sync_push_locked(&m->queue, &node.n);
	node.since = weft__clock_now();
	sync_unlock(&m->queue.lock);
	return weft__mutex_compete(m, &node, weft__wait(&node.n.waiter, deadline, false), deadline);
}

int weft__mutex_compete(struct mutex *m, struct mutex_node *node, enum wait_outcome outcome,
			int64_t deadline)
{
	for (;;) {
		struct worker *w = weft__worker(); /* again: the wait may have hopped */
		bool taken = outcome == WAIT_WOKEN && spin(m, w, node->self);
		sync_lock(&m->queue.lock);
		if (!node->granted && outcome == WAIT_TIMEDOUT) {
			if (node->n.queued) {
				sync_remove_locked(&m->queue, &node->n);
				drop_flags_locked(m, 0);
			}
			sync_unlock(&m->queue.lock);
			return -ETIMEDOUT;
		}
		if (!node->granted && (taken || take_or_queue_locked(m, node->self, MUTEX_WOKEN))) {
			sync_remove_locked(&m->queue, &node->n);
			drop_flags_locked(m, MUTEX_WOKEN);
			node->granted = true;
		}
		if (node->granted) {
			sync_unlock(&m->queue.lock);
			mutex_note_holder(m, w);
			return 0;
		}
		/* Somebody else was faster. We are still the first, so the next unlock wakes us
		 * again. */
		node->state = MUTEX_ASLEEP;
		node->overdue =
			weft__clock_now() - node->since > OVERDUE_NS || chaos_at(w, CHAOS_LOCK);
		weft__wait_begin(&node->n.waiter, deadline == WEFT_FOREVER);
		sync_unlock(&m->queue.lock);
		outcome = weft__wait(&node->n.waiter, deadline, false);
	}
}

/*
 * Passes the mutex on to the first in the queue, or frees it and says that the first is to be
 * woken. The caller holds the mutex and the queue's lock. Returns false, and does nothing, if
 * nobody waits or if the woken waiter can still be patient.
 */
static bool pass_on_locked(struct mutex *m, struct wakeup *ret_wakeup, bool *ret_wake)
{
	/* relaxed: invariant 3. */
	bool awake = load_relaxed(&m->word) & MUTEX_WOKEN;
	struct mutex_node *node;

	while ((node = (struct mutex_node *)sync_first(&m->queue))) {
		if (node->state != MUTEX_ASLEEP || sync_claim_locked(&node->n))
			break;
		sync_remove_locked(&m->queue, &node->n);
	}
	if (!node) {
		drop_flags_locked(m, 0);
		return false;
	}
	bool overdue = node->overdue || (awake && weft__clock_now() - node->since > OVERDUE_NS);
	if (awake && !overdue)
		return false;

	uint64_t next = MUTEX_QUEUED | MUTEX_WOKEN;
	*ret_wake = node->state != MUTEX_AWAKE;
	*ret_wakeup = weft__wakeup_of(&node->n.waiter);
	node->state = MUTEX_AWAKE;
	m->queue.user = 0;
	if (overdue) {
		sync_remove_locked(&m->queue, &node->n);
		node->granted = true;
		store_relaxed(&m->held_at, 0);
		next = node->self | (sync_first(&m->queue) ? MUTEX_QUEUED : 0);
	}
	/* release: as in mutex_unlock_fast(). */
	store_release(&m->word, next);
	return true;
}

void weft__mutex_unlock_slow(struct mutex *m, uint64_t self, const char *call)
{
	uint64_t word = load_relaxed(&m->word);

	if (mutex_holder(word) != self)
		weft__sync_not_owner(call, "mutex", m, "is not held by the caller",
				     mutex_holder(word));
	for (;;) {
		if (word & MUTEX_QUEUED &&
		    (!(word & MUTEX_WOKEN) || m->queue.user % MUTEX_LOOK_EVERY == 0)) {
			struct wakeup wakeup;
			bool wake = false;

			sync_lock(&m->queue.lock);
			bool done = pass_on_locked(m, &wakeup, &wake);
			sync_unlock(&m->queue.lock);
			if (wake)
				weft__wait_wake(wakeup);
			if (done)
				return;
			word = load_relaxed(&m->word);
		}
		/* release: as in mutex_unlock_fast(). */
		if (!(word & MUTEX_QUEUED) || word & MUTEX_WOKEN) {
			if (cas_weak_release(&m->word, &word, word & MUTEX_FLAGS))
				return;
		}
	}
}

void weft__mutex_adopt(struct mutex *m, struct sync_node *list)
{
	int64_t now = weft__clock_now();
	struct wakeup wakeup;
	bool wake = false;

	sync_lock(&m->queue.lock);
	while (list) {
		struct mutex_node *node = (struct mutex_node *)list;
		list = list->next;
		node->state = MUTEX_CLAIMED;
		node->since = now;
		sync_push_locked(&m->queue, &node->n);
	}
	uint64_t word = load_relaxed(&m->word), next;
	do {
		/* Nobody holds the mutex, so nobody will unlock it. Nobody was in the queue either,
		 * or one would be on its way (invariant 2). So we wake the first. */
		wake = word == 0;
		next = word | MUTEX_QUEUED | (wake ? MUTEX_WOKEN : 0);
		/* relaxed: the lock orders the queue. */
	} while (!cas_weak_relaxed(&m->word, &word, next));
	if (wake) {
		struct mutex_node *first = (struct mutex_node *)sync_first(&m->queue);
		first->state = MUTEX_AWAKE;
		wakeup = weft__wakeup_of(&first->n.waiter);
	}
	sync_unlock(&m->queue.lock);
	if (wake)
		weft__wait_wake(wakeup);
}

/* lock_until() for all other cases: any caller, and a mutex that may be held. */
static WEFT__MAY_HOP __attribute__((noinline)) int lock_by_anyone(struct mutex *m, int64_t deadline,
								  const char *call)
{
	struct worker *w = weft__worker();

	if (w && w->patience.left <= 0 && deadline > 0)
		w = weft__out_of_patience(w);
	uint64_t self = identity_on(w);
	if (mutex_lock_fast(m, self)) {
		mutex_note_holder(m, w);
	} else {
		int rc = weft__mutex_lock_slow(m, w, self, deadline, call);
		if (rc < 0)
			return rc;
	}
	san_acquire(m);
	return 0;
}

/* The fast path is here: a task with an identity and with patience takes a free mutex. */
static inline WEFT__MAY_HOP __attribute__((always_inline)) int
lock_until(struct mutex *m, int64_t deadline, const char *call)
{
	struct worker *w = weft__worker();

	if (unlikely(!w || !w->task || w->patience.left <= 0))
		return lock_by_anyone(m, deadline, call);
	uint64_t self = load_relaxed(&w->task->identity);
	if (unlikely(self == 0 || !mutex_lock_fast(m, self)))
		return lock_by_anyone(m, deadline, call);
	mutex_note_holder(m, w);
	/* Here and not above, because there the store would delay the compare-and-swap. */
	w->patience.left--;
	san_acquire(m);
	return 0;
}

void weft_mutex_init(weft_mutex *mutex)
{
	struct mutex *m = (struct mutex *)mutex;

	san_forget(m, sizeof(*m));
	store_relaxed(&m->word, 0);
	store_relaxed(&m->held_at, 0);
	sync_queue_init(&m->queue);
}

void weft_mutex_fini(weft_mutex *mutex)
{
	struct mutex *m = (struct mutex *)mutex;
	uint64_t word = load_relaxed(&m->word);

	if (word & MUTEX_QUEUED)
		weft__sync_misuse("weft_mutex_fini", "mutex", m, "still has waiters");
	if (word)
		weft__sync_misuse("weft_mutex_fini", "mutex", m, "is held");
	san_forget(m, sizeof(*m));
}

WEFT__MAY_HOP void weft_mutex_lock(weft_mutex *mutex)
{
	lock_until((struct mutex *)mutex, WEFT_FOREVER, "weft_mutex_lock");
}

WEFT__MAY_HOP int weft_mutex_lock_until(weft_mutex *mutex, int64_t deadline)
{
	return lock_until((struct mutex *)mutex, deadline, "weft_mutex_lock_until");
}

int weft_mutex_try_lock(weft_mutex *mutex)
{
	struct mutex *m = (struct mutex *)mutex;
	struct worker *w = weft__worker();
	uint64_t self = identity_on(w), word = 0;

	/* acquire: as in mutex_lock_fast(). A free mutex may have flags. If there is a holder, the
	 * loop ends. */
	while (!cas_weak_acquire(&m->word, &word, word | self)) {
		if (mutex_holder(word) != 0)
			return -EBUSY;
	}
	mutex_note_holder(m, w);
	san_acquire(m);
	return 0;
}

void weft_mutex_unlock(weft_mutex *mutex)
{
	struct mutex *m = (struct mutex *)mutex;
	uint64_t self = identity_on(weft__worker());

	san_release(m);
	if (!mutex_unlock_fast(m, self))
		weft__mutex_unlock_slow(m, self, "weft_mutex_unlock");
}
