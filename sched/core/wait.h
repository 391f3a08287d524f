/* SPDX-License-Identifier: MIT */
/*
 * The wait protocol: how a task or a plain thread waits for something, and how it is woken.
 * Everything above the core waits through this and nothing else.
 *
 * A waiter lies in the waiting function's frame. Whatever can wake it holds a pointer to it: a
 * primitive's queue (under that primitive's lock), a timer tree (under its lock), its task's
 * cancellation (under the task's cancel lock), the task that it joins (no lock: join.c).
 *
 *   waiting side                                waking side
 *   weft__wait_begin(&waiter)
 *   lock; enqueue a node; unlock                lock; take a node; weft__wait_claim(); unlock
 *   weft__wait(&waiter, deadline, ...)          weft__wait_wake()
 *   lock; dequeue the node if still in; unlock
 *
 * Invariants.
 *  1. A waiter is claimed once: by the one compare-and-swap that moves `outcome` away from PENDING,
 *     or, if it is lone, as below. Others lose.
 *  2. A claim is attempted only under the lock of what holds the pointer, and the waiter takes each
 *     of these locks, to unlink, before its frame ends. So nobody looks at a dead frame. (A node
 *     that was taken out by the successful claimer needs no unlinking: that claimer is done with
 *     the frame when it wakes. A task's end claims its joiner without a lock; instead, a joiner
 *     that gives up waits until that end is done with its frame: join.c.)
 *  3. Whoever claims wakes, exactly once, after the unlock; the waiter does not return before that
 *     wake. (A waiter that claims itself, because its deadline has passed, needs no wake.)
 *  4. A waking task is reached through struct task, which lives until its wake; a waking thread
 *     through the address of its futex word, after whose store nothing else of the frame is
 *     touched. A FUTEX_WAKE on a dead frame's address is a stray wake for somebody else, and every
 *     futex wait here tolerates those.
 *
 * A lone waiter is a task's, is in one queue and has no deadline. The holder of that queue's lock and a
 * canceller are then the only ones that may want it, and the waker, who comes often, needs no
 * read-modify-write:
 *
 *   waker                                  canceller
 *   store given = true                     set CANCEL_REQUESTED
 *   light fence                            heavy fence
 *   load cancel                            load given
 *   not requested: it is mine              given: it is the waker's
 *   requested: compare-and-swap            else: compare-and-swap
 *
 * Store-load race: at least one sees the other. Both may, and then the waker has it, since a
 * canceller that sees `given` does not try. Neither can be missing: the waker takes it by the store
 * only if the canceller is yet to look at `given`. A waiter that finds itself cancelled is a
 * canceller, fence and all. It finds that rarely: a task that has been cancelled before it begins
 * to wait is not lone, so that its waits cost no fence.
 *
 * A waiting task can be made runnable once its context is saved, which is after the switch: whoever
 * runs next on its thread then stores PARKED (settle() in execute.c). A waker that comes earlier
 * looks again for a few microseconds, since most tasks are parked within some ten nanoseconds. Then
 * it leaves the wake to whoever stores PARKED, and goes on (early.c). So no waker waits for another
 * thread, however long that one needs from weft__wait_begin() to its switch: it may start a thread
 * meanwhile, or have lost its processor. The pick of what runs next is never slow there (pick.c).
 *
 * A condition's waiter unlocks its mutex after its wait has begun, and so may wake itself: another
 * thread has signalled it meanwhile, without the mutex, and put it into the mutex's queue. That is
 * a wake which comes too early, like others.
 */
#ifndef WEFT_CORE_WAIT_H
#define WEFT_CORE_WAIT_H

#include "sched/os/membarrier.h"
#include "task.h"
#include "timer.h"
#include "worker.h"

#include <errno.h>

enum wait_outcome { WAIT_PENDING, WAIT_WOKEN, WAIT_TIMEDOUT, WAIT_CANCELLED };

struct waiter {
	struct task *task;        /* immutable; NULL: a plain thread */
	_Atomic uint32_t outcome; /* enum wait_outcome: the claim */
	_Atomic uint32_t signal; /* of a thread, and set for one only: 1 once it is woken (futex) */
	bool lone;               /* immutable: a task's, in one queue, without a deadline */
	_Atomic bool given;      /* lone: its queue's waker wants it, or has it */
	struct timer timer;      /* set once there is a deadline */
	struct waiter *next;     /* a canceller's, which has claimed it */
};

/* What a claimer keeps of a waiter beyond the lock. */
struct wakeup {
	struct task *task;
	_Atomic uint32_t *signal;
};

static inline void wait_begin_by(struct task *t, struct waiter *waiter, bool lone)
{
	waiter->task = t;
	/* relaxed, all: the waiter becomes visible later, through a lock or a release. */
	atomic_store_explicit(&waiter->outcome, WAIT_PENDING, memory_order_relaxed);
	atomic_store_explicit(&waiter->given, false, memory_order_relaxed);
	if (!t) {
		/* It may be in a scope, where its deadline is the futex's. */
		lone = false;
		atomic_store_explicit(&waiter->signal, 0, memory_order_relaxed);
	} else {
		/* relaxed: only spares a fence to come, see cancel_watch(). */
		if (atomic_load_explicit(&t->cancel, memory_order_relaxed) & CANCEL_REQUESTED)
			lone = false;
		atomic_store_explicit(&t->park, PARK_SUSPENDING, memory_order_relaxed);
	}
	waiter->lone = lone;
}

/*
 * Makes ready to wait. Must come before anybody can see the waiter.
 *
 * @lone  it will be in one queue only, and the deadline is WEFT_FOREVER.
 */
static inline void weft__wait_begin(struct waiter *waiter, bool lone)
{
	struct worker *w = weft__worker();

	wait_begin_by(w ? w->task : NULL, waiter, lone);
}

/* Takes weft__wait_begin() back, when nobody has seen the waiter. */
void weft__wait_abandon(struct waiter *waiter);

/* The claim where others may attempt one as well, besides the holder of the lock. */
static inline bool wait_claim_contended(struct waiter *waiter, enum wait_outcome outcome)
{
	uint32_t pending = WAIT_PENDING;

	/* relaxed: decides a race and publishes nothing; what the wake publishes goes by
	 * weft__wait_wake(). */
	return atomic_compare_exchange_strong_explicit(&waiter->outcome, &pending, outcome,
						       memory_order_relaxed, memory_order_relaxed);
}

/* Of a claimed waiter, whose frame lives until its wake. */
static inline struct wakeup weft__wakeup_of(struct waiter *waiter)
{
	return (struct wakeup){waiter->task, &waiter->signal};
}

/*
 * Claims the waiter for its waker. The caller holds the lock of the queue that holds it, or is the
 * end of the task that it joins. true: the caller must call weft__wait_wake().
 */
static inline bool weft__wait_take(struct waiter *waiter)
{
	struct task *t = waiter->task;

	if (!waiter->lone)
		return wait_claim_contended(waiter, WAIT_WOKEN);
	/* Store-load race with weft__wait_claim_cancelled(): see above. relaxed, all: the lock or
	 * the canceller's fence orders. */
	atomic_store_explicit(&waiter->given, true, memory_order_relaxed);
	weft__fence_light();
	if (__builtin_expect(
		    atomic_load_explicit(&t->cancel, memory_order_relaxed) & CANCEL_REQUESTED, 0))
		return wait_claim_contended(waiter, WAIT_WOKEN);
	atomic_store_explicit(&waiter->outcome, WAIT_WOKEN, memory_order_relaxed);
	return true;
}

/* The same, with what is to be woken. */
static inline bool weft__wait_claim(struct waiter *waiter, struct wakeup *ret)
{
	*ret = weft__wakeup_of(waiter);
	return weft__wait_take(waiter);
}

/*
 * Claims the waiter because its task is cancelled, by the canceller or the task. After
 * CANCEL_REQUESTED was set or seen, and then a heavy fence. As weft__wait_claim() otherwise.
 */
bool weft__wait_claim_cancelled(struct waiter *waiter, struct wakeup *ret);

/* Whether the context of a task that waits is saved. By who has claimed its wake. */
static inline bool weft__parked(struct task *t)
{
	/* acquire: the saved context, released by park_leaving() (execute.c) with PARKED. */
	return atomic_load_explicit(&t->park, memory_order_acquire) == PARK_PARKED;
}

/* Wakes what was claimed. Without that lock. Any thread. Does not wait. */
void weft__wait_wake(struct wakeup wakeup);

/* As weft__wait_wake(), by w, which has nothing to go on with: returns the task that was woken if
 * it is to be w's next, without a detour over the slot, else NULL. */
struct task *weft__wait_wake_next(struct worker *w, struct wakeup wakeup);

struct branch;

/*
 * Cancels n tasks that are no forks, at most WEFT__CANCEL_SOME, with one fence for all. Returns the
 * waits that it has claimed, linked by .next, which the caller must wake: these live until then.
 * Adds the branches that it has pinned to the list, for weft__reach_branches(). Nobody else may
 * cancel several of them at once.
 */
#define WEFT__CANCEL_SOME 32
struct waiter *weft__cancel_some(struct task *const *tasks, unsigned n, struct branch **pinned);

/* Wakes them. */
void weft__wake_cancelled(struct waiter *claimed);

/*
 * Waits until somebody has claimed and woken the waiter, or the deadline has passed, or
 * (cancellable, outside of a masked region) the task is cancelled. A task whose wait is over before
 * it has begun, because of the deadline or the cancellation, gives way once (it yields). A task may
 * be on another worker afterwards.
 */
enum wait_outcome weft__wait(struct waiter *waiter, int64_t deadline, bool cancellable);

/*
 * As weft__wait(waiter, WEFT_FOREVER, true) in a task of w, but that w runs `next` meanwhile, an
 * unstarted task for which it has a stack. Returns the worker on which the task goes on; the
 * outcome is wait_outcome().
 */
struct worker *weft__wait_running(struct worker *w, struct waiter *waiter, struct task *next);

/*
 * Whether a canceller is at work on t. A task must not go on with the knowledge that it is
 * cancelled before that is over: it might end.
 */
static inline bool canceller_looks(struct task *t)
{
	/* acquire: pairs with the release that ends the canceller's look, in claim() (cancel.c). */
	return atomic_load_explicit(&t->cancel, memory_order_acquire) & CANCEL_BUSY;
}

/* Waits until no canceller is at work on t. The caller runs t. */
void weft__await_canceller(struct task *t);

/* Whether a wait of the caller, a task or any thread, would be cut short by a cancellation. */
bool weft__caller_cancelled(void);

/* How a wait has ended. */
static inline enum wait_outcome wait_outcome(const struct waiter *waiter)
{
	/* relaxed: the wake has published it, or the task has claimed itself. */
	return atomic_load_explicit(&waiter->outcome, memory_order_relaxed);
}

/* The same as the waiting call returns it. */
static inline int wait_errno(enum wait_outcome outcome)
{
	return outcome == WAIT_WOKEN ? 0 : outcome == WAIT_TIMEDOUT ? -ETIMEDOUT : -ECANCELED;
}

/*
 * Claims the waits of one tree whose deadlines have passed and makes their tasks runnable: on w, or
 * (beside) by weft__ready_due(). Returns their number.
 */
unsigned weft__expire(struct worker *w, struct timers *timers, int64_t now, bool beside);

#endif
