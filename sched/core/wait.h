/* SPDX-License-Identifier: MIT */
/*
 * The wait protocol: how a task or a plain thread waits for something, and how it is woken.
 * Everything above the core waits through this protocol only.
 *
 * A waiter lies in the frame of the waiting function. Everything that can wake it holds a pointer
 * to it:
 *
 *   holder                     protected by
 *   a primitive's queue        that primitive's lock
 *   a timer tree               its lock
 *   its task's cancellation    the task's cancel lock
 *   the task that it joins     no lock (join.c)
 *
 *   waiting side                                waking side
 *   weft__wait_begin(&waiter)
 *   lock; enqueue a node; unlock                lock; take a node; weft__wait_claim(); unlock
 *   weft__wait(&waiter, deadline, ...)          weft__wait_wake()
 *   lock; dequeue the node if still in; unlock
 *
 * Invariants.
 *  1. A waiter is claimed once. One compare-and-swap moves `outcome` away from PENDING, and all
 *     other attempts fail. A lone waiter is claimed as described below.
 *  2. A claim is attempted only under the lock of the holder. The waiter takes each of these locks,
 *     to unlink, before its frame ends. So nobody looks at a dead frame. There are two exceptions.
 *     (a) A node that the successful claimer took out needs no unlinking: that claimer is done with
 *     the frame when it wakes. (b) A task's end claims its joiner without a lock. A joiner that
 *     gives up waits until that end is done with its frame (join.c).
 *  3. The claimer wakes the waiter exactly once, after the unlock. The waiter does not return
 *     before that wake. A waiter that claims itself, because its deadline has passed, needs no
 *     wake.
 *  4. A waking task is reached through struct task, which lives until its wake. A waking thread is
 *     reached through the address of its futex word. After the store to that word nothing else of
 *     the frame is touched. A FUTEX_WAKE on a dead frame's address is a stray wake for another
 *     thread, and every futex wait here tolerates those.
 *
 * A lone waiter belongs to a task, is in one queue, and has no deadline. Only two can claim it: the
 * holder of that queue's lock, and a canceller. The waker comes often, and needs no
 * read-modify-write:
 *
 *   waker                                  canceller
 *   store wanted = true                    set CANCEL_REQUESTED
 *   light fence                            heavy fence
 *   load cancel                            load wanted
 *   not requested: it is mine              wanted: it is the waker's
 *   requested: compare-and-swap            else: compare-and-swap
 *
 * Store-load race: at least one sees the other. If both do, the waker gets the waiter, since a
 * canceller that sees `wanted` does not try. They cannot both miss each other: the waker takes the
 * waiter by a mere store only if the canceller has yet to look at `wanted`. A waiter that finds
 * itself cancelled acts as a canceller, and fences too. That is rare: a task that was cancelled
 * before its wait began is not lone, so its waits cost no fence.
 *
 * A waiting task can be made runnable once its context is saved, which is after the switch. The
 * code that runs next on its thread then stores PARKED (settle() in execute.c). A waker that comes
 * earlier looks again for a few microseconds, since most tasks are parked within some ten
 * nanoseconds. After that it leaves the wake to the thread that stores PARKED, and goes on
 * (early.c). So no waker waits for another thread, however long that thread needs from
 * weft__wait_begin() to its switch. It may start another thread meanwhile, or lose its processor.
 * The pick of what runs next is never slow there (pick.c).
 *
 * A condition's waiter unlocks its mutex after its wait has begun, and this unlock may wake the
 * waiter itself. That happens if another thread signals it without the mutex, and thereby puts it
 * into the mutex's queue. Such a wake comes too early, and is treated like others that do.
 */
#ifndef WEFT_CORE_WAIT_H
#define WEFT_CORE_WAIT_H

#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/fence.h"
#include "task.h"
#include "timer.h"
#include "tls.h"
#include "worker.h"

#include <errno.h>

/* The claim moves the outcome once, from WAIT_PENDING to one of the others. */
enum wait_outcome { WAIT_PENDING, WAIT_WOKEN, WAIT_TIMEDOUT, WAIT_CANCELLED };

struct waiter {
	struct task *task;        /* immutable; NULL: a plain thread */
	_Atomic uint32_t outcome; /* enum wait_outcome: the claim */
	_Atomic uint32_t signal;  /* futex of a thread: becomes 1 when it is woken */
	/* Of a thread; immutable once the waiter is visible. How the thread sleeps; NULL: on .signal.
	 * Returns -ETIMEDOUT at that time. May return early, or claim the waiter itself: then it
	 * sets .signal. */
	int (*sleep)(struct waiter *waiter, int64_t until);
	int bell;            /* if .sleep is set: an eventfd that ends the sleep */
	bool lone;           /* immutable; see above */
	_Atomic bool wanted; /* of a lone waiter: its queue's waker wants it, or has it */
	struct timer timer;  /* set once there is a deadline */
	struct waiter *next; /* the next waiter that the same canceller has claimed */
};

/* What a claimer remembers of a waiter after the unlock. */
struct wakeup {
	struct task *task;
	_Atomic uint32_t *signal;
};

static inline void wait_begin_by(struct task *t, struct waiter *waiter, bool lone)
{
	waiter->task = t;
	/* relaxed, all: a lock or a release makes the waiter visible later. */
	store_relaxed(&waiter->outcome, WAIT_PENDING);
	store_relaxed(&waiter->wanted, false);
	if (!t) {
		/* The thread may be in a scope, whose deadline the futex waits for. */
		lone = false;
		waiter->sleep = NULL;
		store_relaxed(&waiter->signal, 0);
	} else {
		/* relaxed: it only saves a later fence; see cancel_show(). */
		if (load_relaxed(&t->cancel) & CANCEL_REQUESTED)
			lone = false;
		store_relaxed(&t->park, PARK_SUSPENDING);
	}
	waiter->lone = lone;
}

/*
 * Prepares to wait. Must come before anybody can see the waiter.
 *
 * @lone  the waiter will be in one queue only, and the deadline is WEFT_FOREVER.
 */
static inline void weft__wait_begin(struct waiter *waiter, bool lone)
{
	struct worker *w = weft__worker();

	wait_begin_by(w ? w->task : NULL, waiter, lone);
}

/* Undoes weft__wait_begin(). Nobody has seen the waiter. */
void weft__wait_abandon(struct waiter *waiter);

/* Claims a waiter that others besides the holder of the lock may try to claim. */
static inline bool wait_claim_contended(struct waiter *waiter, enum wait_outcome outcome)
{
	uint32_t pending = WAIT_PENDING;

	/* relaxed: it decides a race and publishes nothing. weft__wait_wake() publishes what the
	 * wake does. */
	return cas_relaxed(&waiter->outcome, &pending, outcome);
}

/* What to wake for a claimed waiter. Its frame lives until its wake. */
static inline struct wakeup weft__wakeup_of(struct waiter *waiter)
{
	return (struct wakeup){waiter->task, &waiter->signal};
}

/*
 * Claims the waiter for its waker. The caller holds the lock of the queue that holds the waiter, or
 * is the end of the task that the waiter joins. If it returns true the caller must call
 * weft__wait_wake().
 */
static inline bool weft__wait_take(struct waiter *waiter)
{
	struct task *t = waiter->task;

	if (!waiter->lone)
		return wait_claim_contended(waiter, WAIT_WOKEN);
	/* Store-load race with weft__wait_claim_cancelled(): see above. relaxed, all: the lock or
	 * the canceller's fence orders them. */
	store_relaxed(&waiter->wanted, true);
	weft__fence_light();
	if (unlikely(load_relaxed(&t->cancel) & CANCEL_REQUESTED))
		return wait_claim_contended(waiter, WAIT_WOKEN);
	store_relaxed(&waiter->outcome, WAIT_WOKEN);
	return true;
}

/* The same; also returns what to wake. */
static inline bool weft__wait_claim(struct waiter *waiter, struct wakeup *ret)
{
	*ret = weft__wakeup_of(waiter);
	return weft__wait_take(waiter);
}

/*
 * Claims the waiter because its task is cancelled. The caller is the canceller or the task. It has
 * set or seen CANCEL_REQUESTED, and then fenced heavily. Otherwise as weft__wait_claim().
 */
bool weft__wait_claim_cancelled(struct waiter *waiter, struct wakeup *ret);

/* Whether the context of a waiting task is saved. The caller has claimed its wake. */
static inline bool weft__parked(struct task *t)
{
	/* acquire: the saved context, released by park_outgoing() (execute.c) with PARKED. */
	return load_acquire(&t->park) == PARK_PARKED;
}

/* Wakes a claimed waiter. The caller holds no lock of it. Any thread. Does not wait. */
void weft__wait_wake(struct wakeup wakeup);

/* As weft__wait_wake(), by w, which has nothing else to run. If the woken task should be w's next,
 * returns it and saves the detour over the next slot. Otherwise returns NULL. */
struct task *weft__wait_wake_next(struct worker *w, struct wakeup wakeup);

/*
 * Waits until one of these happens:
 *
 *   - the waiter has been claimed and woken,
 *   - the deadline has passed,
 *   - `cancellable` is set, no masked region is open, and the task is cancelled.
 *
 * If the deadline or the cancellation ends the wait before it has begun, the task yields once. A
 * task may be on another worker afterwards.
 */
WEFT__MAY_HOP enum wait_outcome weft__wait(struct waiter *waiter, int64_t deadline,
					   bool cancellable);

/*
 * As weft__wait(waiter, WEFT_FOREVER, true) in a task of w, except that w runs `next` meanwhile.
 * `next` has not started, and w has a stack for it. Returns the worker on which the task goes on.
 * The outcome is wait_outcome().
 */
WEFT__MAY_HOP WEFT__MUST_USE struct worker *
weft__wait_running(struct worker *w, struct waiter *waiter, struct task *next);

/*
 * Whether a canceller works on t. A task that knows of its cancellation must not go on before the
 * canceller is done, since the task might end.
 */
static inline bool canceller_looks(struct task *t)
{
	/* acquire: pairs with the release that ends the canceller's look, in claim() (cancel.c). */
	return load_acquire(&t->cancel) & CANCEL_BUSY;
}

/* Waits until no canceller works on t. The caller runs t. */
void weft__await_canceller(struct task *t);

/* How a wait has ended. */
static inline enum wait_outcome wait_outcome(const struct waiter *waiter)
{
	/* relaxed: the wake has published it, or the task has claimed itself. */
	return load_relaxed(&waiter->outcome);
}

/* The outcome as the return value of a waiting call. */
static inline int wait_errno(enum wait_outcome outcome)
{
	return outcome == WAIT_WOKEN ? 0 : outcome == WAIT_TIMEDOUT ? -ETIMEDOUT : -ECANCELED;
}

/*
 * Claims the waits of one tree whose deadlines have passed, and makes their tasks runnable. They go
 * to w or, if `beside` is set, through weft__ready_due(). Returns their number.
 */
unsigned weft__expire(struct worker *w, struct timers *timers, int64_t now, bool beside);

#endif
