/* SPDX-License-Identifier: MIT */
/*
 * Once. The word says who runs the function, so that a call from inside of it is seen as the
 * deadlock that it is.
 *
 *   NEW → runner | RUNNING → DONE, or back to NEW where the function failed (weft_once_try());
 *                             the last step under the queue's lock
 */
#include "queue.h"
#include "self.h"

#include <weft/sync.h>
#include <weft/task.h>

#define NEW     ((uint64_t)0)
#define RUNNING ((uint64_t)1)
#define DONE    ((uint64_t)2)

struct once {
	_Atomic uint64_t word;
	struct sync_queue queue;
} __attribute__((may_alias));

static_assert(sizeof(struct once) <= sizeof(weft_once), "a once fits its public storage");
static_assert(alignof(struct once) <= alignof(weft_once), "a once fits its public storage");
static_assert((RUNNING | DONE) == IDENTITY_FREE_BITS, "the states fit beside an identity");

void weft_once_init(weft_once *once)
{
	struct once *o = (struct once *)once;

	san_forget(o, sizeof(*o));
	/* relaxed: the caller publishes the object. */
	atomic_store_explicit(&o->word, NEW, memory_order_relaxed);
	sync_queue_init(&o->queue);
}

void weft_once_fini(weft_once *once)
{
	struct once *o = (struct once *)once;

	if (atomic_load_explicit(&o->word, memory_order_relaxed) & RUNNING)
		weft__sync_misuse("weft_once_fini", "once", o, "is being called");
	san_forget(o, sizeof(*o));
}

/* By the runner: what fn did is published, and whoever waits goes on. */
static void finish(struct once *o)
{
	san_release(o);
	sync_lock(&o->queue.lock);
	/* release: what fn did, for the acquires below. */
	atomic_store_explicit(&o->word, DONE, memory_order_release);
	struct sync_node *list = sync_take_all_locked(&o->queue);
	sync_unlock(&o->queue.lock);
	sync_wake_all(list);
}

/* By the runner, whose fn has failed: the first one that waits tries next, unless somebody else is
 * faster. */
static void give_up(struct once *o)
{
	san_release(o);
	sync_lock(&o->queue.lock);
	/* release: as in finish(). */
	atomic_store_explicit(&o->word, NEW, memory_order_release);
	struct sync_node *node = sync_take_locked(&o->queue);
	sync_unlock(&o->queue.lock);
	if (node)
		weft__wait_wake(weft__wakeup_of(&node->waiter));
}

/* Waits while somebody runs the function. May return although somebody else does so by then. */
static void wait_while_running(struct once *o)
{
	struct sync_node node;

	weft__wait_begin(&node.waiter, true);
	sync_lock(&o->queue.lock);
	/* relaxed: the runner leaves RUNNING under the lock. No wake is lost: that comes before
	 * this, or finds us in the queue. Where it wakes one of several, this one runs the function
	 * itself or finds another runner, and wakes the next one or waits again. */
	if (!(atomic_load_explicit(&o->word, memory_order_relaxed) & RUNNING)) {
		sync_unlock(&o->queue.lock);
		weft__wait_abandon(&node.waiter);
		return;
	}
	sync_wait_unlock(&o->queue, &node, WEFT_FOREVER, false);
}

/* true: the caller is to run its function, and then finish() or give_up(). false: it has been done.
 * word: what it was, read by an acquire. */
static bool become_runner(struct once *o, uint64_t word, bool has_function, const char *call)
{
	uint64_t self = identity_on(weft__worker());

	if (!has_function)
		weft__sync_misuse(call, "once", o, "is called without a function");
	while (word != DONE) {
		if (word == NEW) {
			/* acquire: what those did that failed; on failure, what fn did. */
			if (atomic_compare_exchange_strong_explicit(&o->word, &word, self | RUNNING,
								    memory_order_acquire,
								    memory_order_acquire)) {
				san_acquire(o);
				return true;
			}
			continue;
		}
		if (word == (self | RUNNING))
			weft__sync_misuse(call, "once", o,
					  "is called by the function that runs for it");
		wait_while_running(o);
		/* acquire: what fn did. */
		word = atomic_load_explicit(&o->word, memory_order_acquire);
	}
	return false;
}

void weft_once_call(weft_once *once, void (*fn)(void *arg), void *arg)
{
	struct once *o = (struct once *)once;
	/* acquire: what fn did. */
	uint64_t word = atomic_load_explicit(&o->word, memory_order_acquire);

	if (__builtin_expect(word != DONE, 0) && become_runner(o, word, fn, "weft_once_call")) {
		/* It is done for good, so it must not be cut short. */
		weft_cancel_mask();
		fn(arg);
		weft_cancel_unmask();
		finish(o);
		return;
	}
	sync_settle(&o->queue);
	san_acquire(o);
}

int weft_once_try(weft_once *once, int (*fn)(void *arg), void *arg)
{
	struct once *o = (struct once *)once;
	/* acquire: what fn did. */
	uint64_t word = atomic_load_explicit(&o->word, memory_order_acquire);

	if (__builtin_expect(word != DONE, 0) && become_runner(o, word, fn, "weft_once_try")) {
		int rc = fn(arg);
		if (rc == 0)
			finish(o);
		else
			give_up(o);
		return rc;
	}
	sync_settle(&o->queue);
	san_acquire(o);
	return 0;
}
