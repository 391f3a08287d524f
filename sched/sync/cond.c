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
 */
#include "mutex.h"

#include "sched/core/runtime.h"

struct cond {
	struct sync_queue queue;
	struct mutex *mutex; /* under the queue's lock: of those who wait */
} __attribute__((may_alias));

static_assert(sizeof(struct cond) <= sizeof(weft_cond), "a condition fits its public storage");
static_assert(alignof(struct cond) <= alignof(weft_cond), "a condition fits its public storage");

void weft_cond_init(weft_cond *cond)
{
	struct cond *c = (struct cond *)cond;

	sync_queue_init(&c->queue);
	c->mutex = NULL;
}

void weft_cond_fini(weft_cond *cond)
{
	struct cond *c = (struct cond *)cond;

	if (sync_first(&c->queue))
		weft__sync_misuse("weft_cond_fini", "condition", c, "is waited for");
}

static int wait_until(struct cond *c, struct mutex *m, int64_t deadline, const char *call)
{
	uintptr_t self = self_on(weft__worker());
	struct mutex_node node;

	/* relaxed: only we put ourselves there. */
	if (mutex_holder(atomic_load_explicit(&m->word, memory_order_relaxed)) != self)
		weft__sync_misuse(call, "mutex", m, "is not held by the caller");
	mutex_node_init(&node, self);
	weft__wait_begin(&node.n.waiter, deadline == WEFT_FOREVER);
	sync_lock(&c->queue.lock);
	if (sync_first(&c->queue) && c->mutex != m)
		weft__sync_misuse(call, "condition", c, "is waited for with another mutex");
	c->mutex = m;
	sync_push_locked(&c->queue, &node.n);
	sync_unlock(&c->queue.lock);

	san_release(m);
	enum wait_outcome outcome = WAIT_WOKEN;
	if (!mutex_unlock_fast(m, self) && weft__mutex_unlock_slow(m, self, call))
		weft__wait_abandon(&node.n.waiter);
	else
		outcome = weft__wait(&node.n.waiter, deadline, true);
	if (outcome != WAIT_WOKEN)
		sync_leave(&c->queue, &node.n);
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
	return sync_errno(outcome);
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

	/* relaxed: whoever waits for what the caller has done under the mutex went in before
	 * that. */
	if (!sync_first(&c->queue))
		return;
	sync_lock(&c->queue.lock);
	struct sync_node *node = sync_take_locked(&c->queue);
	struct mutex *m = c->mutex;
	sync_unlock(&c->queue.lock);
	if (node) {
		node->next = NULL;
		wake(m, node);
	}
}

void weft_cond_broadcast(weft_cond *cond)
{
	struct cond *c = (struct cond *)cond;

	/* relaxed: as in weft_cond_signal(). */
	if (!sync_first(&c->queue))
		return;
	sync_lock(&c->queue.lock);
	struct sync_node *list = sync_take_all_locked(&c->queue);
	struct mutex *m = c->mutex;
	sync_unlock(&c->queue.lock);
	if (list)
		wake(m, list);
}
