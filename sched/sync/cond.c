/* SPDX-License-Identifier: MIT */
/*
 * The condition. A waiter enters the condition's queue before it unlocks the mutex, so a signal by
 * anybody who has had the mutex since finds it there.
 *
 * What is woken wants the mutex first, which the signaller usually still holds. A task that goes to
 * the signalling worker's own next slot does not run before the signaller suspends or another
 * worker comes to its help; it is woken at once. All others (threads, tasks of other runtimes, the
 * many of a broadcast) would wake up only to wait for the mutex: they are claimed here but moved to
 * the mutex's queue, whose unlocks wake them one by one.
 *
 * Who waits holds the mutex, so no two enter at once, and the last one to enter need not take the
 * queue's lock: it stores itself into `fresh`, if that is empty. (A read-modify-write less for each
 * wait of two that take turns.)
 *
 *   waiter, with the mutex                  signaller and who gives up, under the queue's lock
 *   fresh empty: store it                   fresh not empty: take it, store NULL (a signaller only
 *   else under the lock, too: fresh to      once the queue is empty: first come, first served)
 *   the queue's end, itself behind it
 *
 * Invariants.
 *  1. Without the lock `fresh` is only changed from NULL, and only by who holds the mutex; under
 *     the lock only to NULL. So neither overwrites what the other has stored, and what is in it is
 *     claimed and left under the lock, like what is in the queue.
 *  2. All in the queue came before the one in `fresh`.
 *  3. Who goes from `fresh` to the queue is in the queue first. A signal that looks without the
 *     lock looks in the other order: where it finds `fresh` empty again, by whomever, it sees the
 *     queue as it was then, hence whoever entered before the signal and has not been taken.
 *  4. .mutex changes under the lock, and only when nobody waits: who finds its own there may enter
 *     without.
 *
 * To wait with two mutexes at once is misuse. It is said where the second finds the first; where
 * both enter at the same moment, the invariants do not hold, and a wait may be lost.
 */
#include "mutex.h"

#include "sched/core/runtime.h"

struct cond {
	struct sync_queue queue;
	_Atomic(struct mutex *) mutex;     /* of those who wait: see above */
	_Atomic(struct sync_node *) fresh; /* who entered last: see above */
} __attribute__((may_alias));

static_assert(sizeof(struct cond) <= sizeof(weft_cond), "a condition fits its public storage");
static_assert(alignof(struct cond) <= alignof(weft_cond), "a condition fits its public storage");

void weft_cond_init(weft_cond *cond)
{
	struct cond *c = (struct cond *)cond;

	sync_queue_init(&c->queue);
	/* relaxed, both: the caller publishes the object. */
	atomic_store_explicit(&c->mutex, NULL, memory_order_relaxed);
	atomic_store_explicit(&c->fresh, NULL, memory_order_relaxed);
}

/* Whether nobody is in it. Without the lock: a hint, but whoever entered before the call is
 * seen. */
static inline bool nobody_waits(struct cond *c)
{
	/* acquire: the queue with who has gone there from `fresh`; pairs with
	 * empty_fresh_locked(). */
	return !atomic_load_explicit(&c->fresh, memory_order_acquire) && !sync_first(&c->queue);
}

static inline struct sync_node *fresh_locked(struct cond *c)
{
	/* acquire: the node, released by enter(). */
	return atomic_load_explicit(&c->fresh, memory_order_acquire);
}

static inline void empty_fresh_locked(struct cond *c)
{
	/* release: the queue, in which those may be that went there from here, for
	 * nobody_waits(). */
	atomic_store_explicit(&c->fresh, NULL, memory_order_release);
}

/* Moves the fresh one to the queue. By the mutex's holder, too. */
static void file_locked(struct cond *c)
{
	struct sync_node *node = fresh_locked(c);

	if (!node)
		return;
	sync_push_locked(&c->queue, node);
	empty_fresh_locked(c);
}

/* Takes out the first one that has not given up, claimed; NULL: there is none. */
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

/* By the mutex's holder, whose wait has begun. */
static inline void enter(struct cond *c, struct mutex *m, struct sync_node *node, const char *call)
{
	/* relaxed, both: invariants 1 and 4. */
	if (__builtin_expect(atomic_load_explicit(&c->mutex, memory_order_relaxed) == m &&
				     !atomic_load_explicit(&c->fresh, memory_order_relaxed),
			     1)) {
		node->queued = false;
		/* release: the node, for fresh_locked(). */
		atomic_store_explicit(&c->fresh, node, memory_order_release);
		return;
	}
	sync_lock(&c->queue.lock);
	file_locked(c);
	/* relaxed, both: under the lock. */
	if (sync_first(&c->queue) && atomic_load_explicit(&c->mutex, memory_order_relaxed) != m)
		weft__sync_misuse(call, "condition", c, "is waited for with another mutex");
	atomic_store_explicit(&c->mutex, m, memory_order_relaxed);
	sync_push_locked(&c->queue, node);
	sync_unlock(&c->queue.lock);
}

/* Takes a node out whose wait was not woken, if it still is in. After the return nobody looks at
 * it. */
static void leave(struct cond *c, struct sync_node *node)
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
		weft__sync_misuse("weft_cond_fini", "condition", c, "is waited for");
}

static int wait_until(struct cond *c, struct mutex *m, int64_t deadline, const char *call)
{
	uint64_t self = identity_on(weft__worker());
	struct mutex_node node;

	/* relaxed: only we put ourselves there. */
	uint64_t holder = mutex_holder(atomic_load_explicit(&m->word, memory_order_relaxed));
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
		leave(c, &node.n);
	else
		san_acquire(&node);
	/* From here on the condition may be gone: the mutex is all that is needed. */
	if (node.moved) {
		weft__mutex_compete(m, &node, outcome, WEFT_FOREVER);
	} else {
		struct worker *w = weft__worker(); /* anew: the wait may have hopped */
		if (mutex_lock_fast(m, self))
			mutex_note_holder(m, w);
		else
			weft__mutex_lock_slow(m, w, self, WEFT_FOREVER, call);
	}
	san_acquire(m);
	san_forget(&node, sizeof(node));
	return wait_errno(outcome);
}

int weft_cond_wait(weft_cond *cond, weft_mutex *mutex)
{
	return wait_until((struct cond *)cond, (struct mutex *)mutex, WEFT_FOREVER,
			  "weft_cond_wait");
}

int weft_cond_wait_until(weft_cond *cond, weft_mutex *mutex, int64_t deadline)
{
	return wait_until((struct cond *)cond, (struct mutex *)mutex, deadline,
			  "weft_cond_wait_until");
}

/* Whether the claimed node's wake goes to the caller's own next slot. */
static bool goes_to_our_slot(const struct sync_node *node)
{
	const struct worker *w = weft__worker();
	const struct task *t = node->waiter.task;

	return w && t && t->rt == w->rt && t->pin == TASK_UNPINNED;
}

/* Claimed nodes, no longer in the condition's queue. Their frames live on until their wake. */
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

	/* Whoever waits for what the caller has done under the mutex went in before that. */
	if (nobody_waits(c))
		return;
	sync_lock(&c->queue.lock);
	struct sync_node *node = take_locked(c);
	struct mutex *m =
		atomic_load_explicit(&c->mutex, memory_order_relaxed); /* under the lock */
	sync_unlock(&c->queue.lock);
	if (node) {
		node->next = NULL;
		wake(m, node);
	}
}

/* Takes out all that have not given up, claimed, linked by .next in their order. */
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
	struct mutex *m =
		atomic_load_explicit(&c->mutex, memory_order_relaxed); /* under the lock */
	sync_unlock(&c->queue.lock);
	if (list)
		wake(m, list);
}
