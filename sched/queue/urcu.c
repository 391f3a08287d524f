/* SPDX-License-Identifier: MIT */
/*
 * The only file that includes liburcu. See urcu.h.
 */
#include "sched/queue/urcu.h"

#include "src/base/atomic.h"
#include "src/base/fence.h"
#include "src/base/lockcheck.h"
#include "src/base/sanitizer.h"

#include <stddef.h>
#include <urcu/urcu-memb.h>
#include <urcu/wfcqueue.h>

#if defined(_LGPL_SOURCE)
#error "liburcu's inline atomics are invisible to ThreadSanitizer: build without _LGPL_SOURCE"
#endif

/* The opaque types in urcu.h have the layout of these types. Only liburcu looks into them. */
_Static_assert(sizeof(struct weft__wfcq_node) == sizeof(void *), "a node is one pointer");
_Static_assert(sizeof(struct weft__wfcq_node) == sizeof(struct cds_wfcq_node), "node");
_Static_assert(_Alignof(struct weft__wfcq_node) == _Alignof(struct cds_wfcq_node), "node");
_Static_assert(sizeof(((struct weft__wfcq *)0)->head) == sizeof(struct __cds_wfcq_head), "head");
_Static_assert(sizeof(((struct weft__wfcq *)0)->tail) == sizeof(struct cds_wfcq_tail), "tail");
_Static_assert(offsetof(struct weft__wfcq, tail) % WEFT__CACHE_LINE == 0, "own cache line");
_Static_assert(sizeof(struct weft__wfcq) == 2 * WEFT__CACHE_LINE, "two cache lines");

#if defined(WEFT_TSAN_SCHEDULER)
/* ThreadSanitizer does not see the library's own ordering. For one address, everything before a
 * release happens before everything after an acquire. */
void __tsan_release(void *address);
void __tsan_acquire(void *address);
#define TSAN_RELEASE(address) __tsan_release(address)
#define TSAN_ACQUIRE(address) __tsan_acquire(address)
#else
#define TSAN_RELEASE(address) ((void)(address))
#define TSAN_ACQUIRE(address) ((void)(address))
#endif

static struct __cds_wfcq_head *head_of(struct weft__wfcq *q)
{
	return (struct __cds_wfcq_head *)(void *)&q->head;
}

static struct cds_wfcq_tail *tail_of(struct weft__wfcq *q)
{
	return (struct cds_wfcq_tail *)(void *)&q->tail;
}

static struct cds_wfcq_node *node_of(struct weft__wfcq_node *node)
{
	return (struct cds_wfcq_node *)(void *)node;
}

void weft__wfcq_init(struct weft__wfcq *q)
{
	__cds_wfcq_init(head_of(q), tail_of(q));
	atomic_init(&q->consumers, 0);
}

bool weft__wfcq_enqueue(struct weft__wfcq *q, struct weft__wfcq_node *node)
{
	cds_wfcq_node_init(node_of(node));
	/* The node's address, not the queue's. A consumer may rely only on the order between this
	 * node's enqueue and its take. A wider order would hide races. */
	TSAN_RELEASE(node);
	/* A full barrier comes first. It publishes all earlier writes to the take. */
	return cds_wfcq_enqueue(head_of(q), tail_of(q), node_of(node));
}

/* Takes nodes until there are max, or there are none, or a producer is between its steps
 * (*blocked). The caller holds the trylock. */
static unsigned take_locked(struct weft__wfcq *q, struct weft__wfcq_node **out, unsigned max,
			    bool *blocked)
{
	unsigned n = 0;

	while (n < max) {
		struct cds_wfcq_node *node = __cds_wfcq_dequeue_nonblocking(head_of(q), tail_of(q));

		if (!node)
			break;
		if (node == CDS_WFCQ_WOULDBLOCK) {
			*blocked = true;
			break;
		}
		out[n] = (struct weft__wfcq_node *)(void *)node;
		TSAN_ACQUIRE(out[n]);
		n++;
	}
	return n;
}

unsigned weft__wfcq_take(struct weft__wfcq *q, struct weft__wfcq_node **out, unsigned max,
			 bool *ret_blocked)
{
	bool blocked = false;
	bool look_again = true;
	unsigned n = 0;

	while (look_again && n < max && !cds_wfcq_empty(head_of(q), tail_of(q))) {
		/*
		 * One step either takes the trylock or leaves a note that a consumer was turned
		 * away. acquire: what the last holder did to the head. release: the holder that
		 * finds the note sees everything that we could have seen, including our
		 * announcement of sleep.
		 */
		if (fetch_add_acq_rel(&q->consumers, 1) != 0) {
			blocked = true;
			break;
		}

		blocked = false;
		n += take_locked(q, out + n, max - n, &blocked);

		/*
		 * release: publishes the head to the next holder. acquire: pairs with the consumers
		 * that were turned away. We look again even if we were blocked. The producer that
		 * hid its node may have linked it since. It may have found no sleeper, because the
		 * consumer that we turned away had not announced itself yet.
		 */
		look_again = exchange_acq_rel(&q->consumers, 0) > 1;
	}

#if !defined(WEFT__FENCE_TSAN)
	/* acquire: liburcu orders a node's own content by dependency. This fence after the
	 * library's loads orders what the producer did elsewhere, together with the full barrier in
	 * its enqueue. ThreadSanitizer has been told. Free on x86. */
	if (n > 0)
		atomic_thread_fence(memory_order_acquire);
#endif

	if (ret_blocked)
		*ret_blocked = blocked;
	return n;
}

bool weft__wfcq_empty(struct weft__wfcq *q)
{
	return cds_wfcq_empty(head_of(q), tail_of(q));
}

void weft__rcu_register(void)
{
	san_ignore_begin();
	urcu_memb_register_thread();
	san_ignore_end();
}

void weft__rcu_unregister(void)
{
	san_ignore_begin();
	urcu_memb_unregister_thread();
	san_ignore_end();
}

/* Read-side sections release to it, and weft__rcu_synchronize() acquires from it. Only its address
 * is used. */
static char grace_period;

void weft__rcu_lock(void)
{
	WEFT__TAKES(NULL, WEFT__RANK_RCU, urcu_memb_read_lock());
}

void weft__rcu_unlock(void)
{
	TSAN_RELEASE(&grace_period);
	WEFT__GIVES(NULL, WEFT__RANK_RCU, urcu_memb_read_unlock());
}

void weft__rcu_synchronize(void)
{
	WEFT__SLEEPS();
	san_ignore_begin();
	urcu_memb_synchronize_rcu();
	san_ignore_end();
	TSAN_ACQUIRE(&grace_period);
}
