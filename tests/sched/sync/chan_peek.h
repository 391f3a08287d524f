/* SPDX-License-Identifier: MIT */
/* Looks into a channel to see how many callers wait in it. So a test knows who waits without
 * sleeping. */
#ifndef WEFT_TESTS_SCHED_SYNC_CHAN_PEEK_H
#define WEFT_TESTS_SCHED_SYNC_CHAN_PEEK_H

#include "tests/sched/core/harness.h"

#include "sched/sync/chan.h"

#include <pthread.h>

UNSEEN unsigned chan_waiters(weft_chan *ch, enum weft_op op)
{
	unsigned count = 0;

	chan_lock(ch);
	struct chan_node *first = atomic_load_explicit(
		op == WEFT_SEND ? &ch->senders.first : &ch->receivers.first, memory_order_relaxed);
	for (struct chan_node *node = first; node; node = node->next == first ? NULL : node->next)
		count++;
	chan_unlock(ch);
	return count;
}

/* Lets the others run until n callers wait to send or receive. May be called by a task or a thread.
 * Returns false if that never happens. */
static inline bool await_waiters(weft_chan *ch, enum weft_op op, unsigned n)
{
	int64_t lost = weft_after(LOST_NS);

	while (chan_waiters(ch, op) != n) {
		if (weft_now() > lost)
			return false;
		weft_yield();
	}
	return true;
}

/* Makes a channel. The test ends if it cannot. */
static inline weft_chan *new_chan(size_t elem_size, size_t capacity)
{
	weft_chan *ch = NULL;

	if (!CHECK(weft_chan_create(elem_size, capacity, &ch) == 0))
		abort();
	return ch;
}

/* One operation that a task or thread carries out: what it should do, and what it saw. */
struct act {
	weft_chan *ch;
	enum weft_op op;
	uint64_t value;
	int64_t deadline;
	int rc;
	flag done;
};

static inline void *carry_out(void *arg)
{
	struct act *act = arg;

	act->rc = act->op == WEFT_SEND ? weft_chan_send_until(act->ch, &act->value, act->deadline)
				       : weft_chan_recv_until(act->ch, &act->value, act->deadline);
	raise_flag(&act->done);
	return act;
}

/* Either a task or a thread. */
struct hand {
	weft_task *task;
	pthread_t thread;
};

static inline void start(struct hand *hand, bool on_a_thread, weft_fn *fn, void *arg)
{
	hand->task = NULL;
	if (on_a_thread)
		CHECK(pthread_create(&hand->thread, NULL, fn, arg) == 0);
	else
		CHECK(weft_spawn(fn, arg, &hand->task) == 0);
}

static inline void finish(struct hand *hand)
{
	if (hand->task)
		CHECK(weft_join(hand->task, NULL) == 0);
	else /* the task may wait for other tasks of this worker */
		while (pthread_tryjoin_np(hand->thread, NULL) == EBUSY)
			weft_yield();
}

#endif
