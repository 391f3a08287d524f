/* SPDX-License-Identifier: MIT */
/*
 * Once. The word says who runs the function, so that a call from inside of it is seen as the
 * deadlock that it is.
 *
 *   NEW → runner | RUNNING → DONE, the last step under the queue's lock
 */
#include "queue.h"
#include "self.h"

#include <weft/sync.h>

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

static void run(struct once *o, void (*fn)(void *arg), void *arg)
{
	fn(arg);
	san_release(o);
	sync_lock(&o->queue.lock);
	/* release: what fn did, for the acquires below. */
	atomic_store_explicit(&o->word, DONE, memory_order_release);
	struct sync_node *list = sync_take_all_locked(&o->queue);
	sync_unlock(&o->queue.lock);
	sync_wake_all(list);
}

static void wait_until_done(struct once *o)
{
	struct sync_node node;

	weft__wait_begin(&node.waiter, true);
	sync_lock(&o->queue.lock);
	/* relaxed: it becomes DONE under the lock. No wake is lost: that comes before this, or
	 * finds us in the queue. */
	if (atomic_load_explicit(&o->word, memory_order_relaxed) == DONE) {
		sync_unlock(&o->queue.lock);
		weft__wait_abandon(&node.waiter);
		return;
	}
	sync_wait_unlock(&o->queue, &node, WEFT_FOREVER, false);
}

void weft_once_call(weft_once *once, void (*fn)(void *arg), void *arg)
{
	struct once *o = (struct once *)once;
	/* acquire: what fn did. */
	uint64_t word = atomic_load_explicit(&o->word, memory_order_acquire);

	if (__builtin_expect(word != DONE, 0)) {
		uint64_t self = identity_on(weft__worker());

		if (!fn)
			weft__sync_misuse("weft_once_call", "once", o,
					  "is called without a function");
		/* acquire, on failure: what fn did. */
		if (word == NEW && atomic_compare_exchange_strong_explicit(
					   &o->word, &word, self | RUNNING, memory_order_acquire,
					   memory_order_acquire)) {
			run(o, fn, arg);
			return;
		}
		if (word == (self | RUNNING))
			weft__sync_misuse("weft_once_call", "once", o,
					  "is called by the function that runs for it");
		if (word != DONE)
			wait_until_done(o);
		else
			sync_settle(&o->queue);
	} else {
		sync_settle(&o->queue);
	}
	san_acquire(o);
}
