/* SPDX-License-Identifier: MIT */
/* Making tasks runnable: see ready.c. */
#ifndef WEFT_CORE_READY_H
#define WEFT_CORE_READY_H

#include "rouse.h"
#include "runtime.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/fence.h"

/* Queues a suspended task where it will be resumed. The caller owns the task. Any thread. */
void weft__ready(struct task *t);

/* As weft__ready(), but at the tail: the task gets no precedence over tasks that are there already.
 * By a worker of its runtime. */
void weft__ready_tail(struct worker *w, struct task *t);

/* Queues a new task of w's runtime where it will be started. */
void weft__start_later(struct worker *w, struct task *t);

/* The path of weft__start_later_unpinned() for a deque whose array is full. */
void weft__start_later_full(struct worker *w, struct task *t);

/*
 * weft__start_later() for a task that is not pinned. It makes no call as long as no worker sleeps
 * and nothing is due.
 *
 * weft__announce() and weft__announce_slot() both begin with the same look at runtime.idle. If no
 * worker sleeps and nothing is due, both do nothing. Otherwise it matters which of them is called,
 * and that one looks again.
 *
 * @fence_is_free  weft__fence_light_is_free(), if the caller knows it already.
 */
static inline __attribute__((always_inline)) void
weft__start_later_unpinned(struct worker *w, struct task *t, bool fence_is_free)
{
	/* relaxed: only the owner writes it. */
	int64_t bottom = load_relaxed(&w->deque.bottom);

	if (unlikely(bottom == w->deque.full)) {
		weft__start_later_full(w, t);
		return;
	}
	weft__deque_put(&w->deque, bottom, t);
	weft__fence_light_if(fence_is_free); /* store-load race with weft__sleep(): see idle.c */
	/* relaxed: the fence orders it. */
	if (unlikely(load_relaxed(&w->rt->idle) >> 32 != 0))
		weft__announce_start_if_unsearched(w);
}

/* Puts a task into the injection queue, for any worker of the pool. Any thread. */
void weft__inject(struct weft_runtime *rt, struct task *t);

/* As weft__ready(), for a worker that looks for what is due. Puts the task into the injection
 * queue, ahead of what this worker has queued. The caller tells the other workers. */
void weft__ready_due(struct worker *w, struct task *t);

/* As weft__inject(), by a thread that is not a worker of rt. Hands the task to a sleeper if nobody
 * searches. See visit_begin(). */
void weft__inject_from_outside(struct weft_runtime *rt, struct task *t);

#endif
