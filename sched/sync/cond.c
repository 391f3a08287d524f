/* SPDX-License-Identifier: MIT */
/*
 * The condition. A waiter enters the condition's queue before it unlocks the mutex. So a signal by
 * any caller that has had the mutex since then finds the waiter there.
 *
 * A woken waiter first wants the mutex, which the signaller usually still holds.
 *  (a) A task that would go to the signalling worker's own next slot is woken at once. It does not
 *      run before the signaller suspends, or before another worker takes it.
 *  (b) All other waiters would wake up only to wait for the mutex: threads, tasks of other
 *      runtimes, and the many waiters of a broadcast. They are claimed here, but moved to the
 *      mutex's queue. The mutex's unlocks wake them one by one.
 *
 * The fresh waiter. A waiter holds the mutex, so no two enter at once. The waiter that enters last
 * need not take the queue's lock: it stores itself into `fresh`, if that is empty. This saves one
 * read-modify-write for each wait of two tasks that take turns.
 *
 *   waiter, holds the mutex                 signaller, or a waiter that gives up: under the lock
 *   --------------------------------------  ----------------------------------------------------
 *   `fresh` is empty: store itself there    `fresh` is not empty: take it, and store NULL
 *   else, under the lock: move `fresh` to   (a signaller does so only once the queue is empty:
 *   the queue's end, and itself behind it   first come, first served)
 *
 * Invariants.
 *  1. Without the lock, only the mutex's holder changes `fresh`, and only from NULL. Under the lock
 *     it is changed only to NULL. So neither side overwrites what the other has stored. The node in
 *     `fresh` is claimed and taken out under the lock, like the nodes in the queue.
 *  2. All waiters in the queue entered before the one in `fresh`.
 *  3. A waiter that moves from `fresh` to the queue is in the queue first. A signal that looks
 *     without the lock looks in the other order. If somebody has emptied `fresh`, the signal sees
 *     the queue as it was at that moment or later. So it sees each waiter that entered before it
 *     and has not been taken.
 *  4. .mutex changes only under the lock, and only while nobody waits. So a caller that finds its
 *     own mutex there may enter without the lock.
 *
 * To wait with two mutexes at once is misuse. It is reported if the second waiter finds the first
 * one. If both enter at the same moment, the invariants do not hold, and a wait may be lost.
 */
#include "mutex.h"
#include "src/base/compiler.h"

#include "sched/core/runtime.h"
#include "src/base/atomic.h"

struct cond {
	struct sync_queue queue;
	_Atomic(struct mutex *) mutex;     /* of those who wait: invariant 4 */
	_Atomic(struct sync_node *) fresh; /* the last to enter: invariants 1 to 3 */
} __attribute__((may_alias));

static_assert(sizeof(struct cond) <= sizeof(weft_cond), "a condition fits its public storage");
static_assert(alignof(struct cond) <= alignof(weft_cond), "a condition fits its public storage");

void weft_cond_init(weft_cond *cond)
{
	struct cond *c = (struct cond *)cond;

	sync_queue_init(&c->queue);
	/* relaxed, both: the caller publishes the object. */
	store_relaxed(&c->mutex, NULL);
	store_relaxed(&c->fresh, NULL);
}

/* Returns whether nobody waits. Without the lock this is a hint, but it sees each waiter that
 * entered before the call. */
static inline bool nobody_waits(struct cond *c)
{
	/* acquire: the queue, with a waiter that has moved there from `fresh`. Pairs with
	 * empty_fresh_locked(). */
	return !load_acquire(&c->fresh) && !sync_first(&c->queue);
}

static inline struct sync_node *fresh_locked(struct cond *c)
{
	/* acquire: the node, released by enter(). */
	return load_acquire(&c->fresh);
}

static inline void empty_fresh_locked(struct cond *c)
{
	/* release: the queue, which may hold a waiter that moved there from `fresh`, for
	 * nobody_waits(). */
	store_release(&c->fresh, NULL);
}

/* Moves the fresh waiter to the queue. The mutex's holder calls this, too. */
static void file_locked(struct cond *c)
{
	struct sync_node *node = fresh_locked(c);

	if (!node)
		return;
	sync_push_locked(&c->queue, node);
	empty_fresh_locked(c);
}

/* Takes out and claims the first waiter that has not given up. Returns NULL if there is none. */
static inline struct sync_node *take_locked(struct cond *c)
{
	struct sync_node *node = sync_take_locked(&c->queue);

	if (node)
		return node;
	node = fresh_locked(c);
	if (!node)
		return NULL;
	empty_fresh_locked(c);
	return sync_claim_locked(node) ? node : NULL;
}

/* Puts a waiter in. Called by the mutex's holder, whose wait has begun. */
static inline void enter(struct cond *c, struct mutex *m, struct sync_node *node, const char *call)
{
	/* relaxed, both: invariants 1 and 4. */
	if (likely(load_relaxed(&c->mutex) == m && !load_relaxed(&c->fresh))) {
		node->queued = false;
		/* release: the node, for fresh_locked(). */
		store_release(&c->fresh, node);
		return;
	}
	sync_lock(&c->queue.lock);
	file_locked(c);
	/* relaxed, both: under the lock. */
	if (sync_first(&c->queue) && load_relaxed(&c->mutex) != m)
		weft__sync_misuse(call, "condition", c, "has waiters with another mutex");
	store_relaxed(&c->mutex, m);
	sync_push_locked(&c->queue, node);
	sync_unlock(&c->queue.lock);
}

/* Takes out a node whose wait was not woken, if it is still in. Nobody looks at the node after the
 * return. */
static void leave_queue(struct cond *c, struct sync_node *node)
{
	sync_lock(&c->queue.lock);
	if (fresh_locked(c) == node)
		empty_fresh_locked(c);
	else if (node->queued)
		sync_remove_locked(&c->queue, node);
	sync_unlock(&c->queue.lock);
}

void weft_cond_fini(weft_cond *cond)
{
	struct cond *c = (struct cond *)cond;

	if (!nobody_waits(c))
		weft__sync_misuse("weft_cond_fini", "condition", c, "still has waiters");
}

static WEFT__MAY_HOP int wait_until(struct cond *c, struct mutex *m, int64_t deadline,
				    const char *call)
{
	uint64_t self = identity_on(weft__worker());
	struct mutex_node node;

	/* relaxed: only the caller itself stores its identity there. */
	uint64_t holder = mutex_holder(load_relaxed(&m->word));
	if (holder != self)
		weft__sync_not_owner(call, "mutex", m, "is not held by the caller", holder);
	mutex_node_init(&node, self);
	weft__wait_begin(&node.n.waiter, deadline == WEFT_FOREVER);
	enter(c, m, &node.n, call);
	san_release(m);
	if (!mutex_unlock_fast(m, self))
		weft__mutex_unlock_slow(m, self, call);
	enum wait_outcome outcome = weft__wait(&node.n.waiter, deadline, deadline > 0);
	if (outcome != WAIT_WOKEN)
		leave_queue(c, &node.n);
	else
		san_acquire(&node);
	/* From here on the condition may be gone. Only the mutex is needed. */
	if (node.moved) {
		weft__mutex_compete(m, &node, outcome, WEFT_FOREVER);
	} else {
		struct worker *w = weft__worker(); /* again: the wait may have hopped */
		if (mutex_lock_fast(m, self))
			mutex_note_holder(m, w);
		else
			weft__mutex_lock_slow(m, w, self, WEFT_FOREVER, call);
	}
	san_acquire(m);
	san_forget(&node, sizeof(node));
	return wait_errno(outcome);
}

WEFT__MAY_HOP int weft_cond_wait(weft_cond *cond, weft_mutex *mutex)
{
	return wait_until((struct cond *)cond, (struct mutex *)mutex, WEFT_FOREVER,
			  "weft_cond_wait");
}

WEFT__MAY_HOP int weft_cond_wait_until(weft_cond *cond, weft_mutex *mutex, int64_t deadline)
{
	return wait_until((struct cond *)cond, (struct mutex *)mutex, deadline,
			  "weft_cond_wait_until");
}

/* Returns whether the wake of the claimed node goes to the caller's own next slot. */
static bool goes_to_our_slot(const struct sync_node *node)
{
	const struct worker *w = weft__worker();
	const struct task *t = node->waiter.task;

	return w && t && t->rt == w->rt && t->pin == TASK_UNPINNED;
}

/* Wakes claimed nodes, or moves them to the mutex. They are no longer in the condition's queue.
 * Their frames live on until their wake. */
static void wake(struct mutex *m, struct sync_node *list)
{
	for (struct sync_node *node = list; node; node = node->next)
		san_release(node);
	if (!list->next && goes_to_our_slot(list)) {
		weft__wait_wake(weft__wakeup_of(&list->waiter));
		return;
	}
	for (struct sync_node *node = list; node; node = node->next)
		((struct mutex_node *)node)->moved = true;
	weft__mutex_adopt(m, list);
}

void weft_cond_signal(weft_cond *cond)
{
	struct cond *c = (struct cond *)cond;

	/* A waiter that waits for what the caller did under the mutex entered before the caller did
	 * it. */
	if (nobody_waits(c))
		return;
	sync_lock(&c->queue.lock);
	struct sync_node *node = take_locked(c);
	struct mutex *m = load_relaxed(&c->mutex); /* under the lock */
	sync_unlock(&c->queue.lock);
	if (node) {
		node->next = NULL;
		wake(m, node);
	}
}

/* Takes out and claims all waiters that have not given up. They are linked by .next, in their
 * order. */
static struct sync_node *take_all_locked(struct cond *c)
{
	struct sync_node *first = NULL, **end = &first, *node;

	while ((node = take_locked(c))) {
		*end = node;
		end = &node->next;
	}
	*end = NULL;
	return first;
}

void weft_cond_broadcast(weft_cond *cond)
{
	struct cond *c = (struct cond *)cond;

	if (nobody_waits(c))
		return;
	sync_lock(&c->queue.lock);
	struct sync_node *list = take_all_locked(c);
	struct mutex *m = load_relaxed(&c->mutex); /* under the lock */
	sync_unlock(&c->queue.lock);
	if (list)
		wake(m, list);
}
