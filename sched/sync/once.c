/* SPDX-License-Identifier: MIT */
/*
 * Once. The word names the runner, the caller that runs the function. So a call from inside the
 * function is recognised as the deadlock that it is.
 *
 *         a caller                    the function is done
 *   NEW ------------> runner | RUNNING ---------------------> DONE
 *    ^                       |
 *    +-----------------------+
 *      the function failed (weft_once_try())
 *
 * The runner leaves RUNNING under the queue's lock.
 */
#include "queue.h"
#include "self.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"

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
	store_relaxed(&o->word, NEW);
	sync_queue_init(&o->queue);
}

void weft_once_fini(weft_once *once)
{
	struct once *o = (struct once *)once;

	if (load_relaxed(&o->word) & RUNNING)
		weft__sync_misuse("weft_once_fini", "once", o, "is being called");
	san_forget(o, sizeof(*o));
}

/* Called by the runner: publishes what fn did and wakes all waiters. */
static void finish(struct once *o)
{
	san_release(o);
	sync_lock(&o->queue.lock);
	/* release: what fn did, for the acquires below. */
	store_release(&o->word, DONE);
	struct sync_node *list = sync_take_all_locked(&o->queue);
	sync_unlock(&o->queue.lock);
	sync_wake_all(list);
}

/* Called by the runner whose fn failed. The first waiter tries next, unless another caller is
 * faster. */
static void give_up(struct once *o)
{
	san_release(o);
	sync_lock(&o->queue.lock);
	/* release: as in finish(). */
	store_release(&o->word, NEW);
	struct sync_node *node = sync_take_locked(&o->queue);
	sync_unlock(&o->queue.lock);
	if (node)
		weft__wait_wake(weft__wakeup_of(&node->waiter));
}

/* Waits while somebody runs the function. It may return although somebody else runs it by then. */
static WEFT__MAY_HOP void wait_while_running(struct once *o)
{
	struct sync_node node;

	weft__wait_begin(&node.waiter, true);
	sync_lock(&o->queue.lock);
	/* relaxed: the runner leaves RUNNING under the lock. No wake is lost: that either comes
	 * before this critical section, or finds us in the queue. If the runner wakes one waiter of
	 * several, that waiter has two ways on. It runs the function and wakes the next waiter, or
	 * it finds another runner and waits again. */
	if (!(load_relaxed(&o->word) & RUNNING)) {
		sync_unlock(&o->queue.lock);
		weft__wait_abandon(&node.waiter);
		return;
	}
	sync_wait_unlock(&o->queue, &node, WEFT_FOREVER, false);
}

/* Returns true if the caller must run its function, and then call finish() or give_up(). Returns
 * false if the function was done. word: what an acquire has read. */
static WEFT__MAY_HOP bool become_runner(struct once *o, uint64_t word, bool has_function,
					const char *call)
{
	uint64_t self = identity_on(weft__worker());

	if (!has_function)
		weft__sync_misuse(call, "once", o, "is called with NULL as its function");
	while (word != DONE) {
		if (word == NEW) {
			/* acquire: what the runners that failed did. On failure: what fn did. */
			if (cas_acquire_else_acquire(&o->word, &word, self | RUNNING)) {
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
		word = load_acquire(&o->word);
	}
	return false;
}

WEFT__MAY_HOP void weft_once_call(weft_once *once, void (*fn)(void *arg), void *arg)
{
	struct once *o = (struct once *)once;
	/* acquire: what fn did. */
	uint64_t word = load_acquire(&o->word);

	if (unlikely(word != DONE) && become_runner(o, word, fn, "weft_once_call")) {
		/* The function is done for good, so a cancellation must not cut it short. */
		weft_cancel_mask();
		fn(arg);
		weft_cancel_unmask();
		finish(o);
		return;
	}
	sync_await_unlock(&o->queue);
	san_acquire(o);
}

WEFT__MAY_HOP int weft_once_try(weft_once *once, int (*fn)(void *arg), void *arg)
{
	struct once *o = (struct once *)once;
	/* acquire: what fn did. */
	uint64_t word = load_acquire(&o->word);

	if (unlikely(word != DONE) && become_runner(o, word, fn, "weft_once_try")) {
		int rc = fn(arg);
		if (rc == 0)
			finish(o);
		else
			give_up(o);
		return rc;
	}
	sync_await_unlock(&o->queue);
	san_acquire(o);
	return 0;
}
