/* SPDX-License-Identifier: MIT */
/*
 * Locks and their friends: mutex, condition, read-write lock, semaphore, barrier, once, latch,
 * event and wait group.
 *
 * All of them work from tasks and from plain threads, between the two, and between runtimes, with a
 * runtime or without one. A task that waits suspends, and may hop to another thread; its worker
 * runs other tasks meanwhile. A plain thread that waits blocks.
 *
 * A call that may suspend gives way now and then, even if it need not wait. So a loop over such
 * calls cannot keep a worker to itself. A loop over calls that never suspend (the try_ forms) can:
 * it should call weft_yield().
 *
 * The objects lie in the caller's memory. A static initialiser or an init makes one. A fini ends
 * it, after which the memory may be used for anything; it may be left out. Ending an object that is
 * held or has waiters is misuse. An object must not be moved or copied while it is in use. You may
 * free an object once your last call on it has returned, even if the thread that woke you is still
 * inside its own call: it no longer touches the object.
 *
 * Holders. A task holds a mutex, or a read-write lock for writing, wherever it runs. Outside of a
 * task the thread holds it. A fork is a task of its own, also when it runs inline. A task that ends
 * while it holds a lock leaves it locked for ever. Nobody inherits the lock, not even a task at the
 * same address: tasks are told apart by their numbers (weft_task_number() in task.h).
 *
 * Misuse prints one line and aborts. The line names the call, the object, and the task (its number
 * and its name or function) or the thread.
 *
 * Cancellation points (weft_cancel() in task.h). The waits for a condition, a semaphore, a barrier,
 * a latch, an event and a wait group are cancellation points. A wait that is cancelled has taken
 * nothing. It lets other tasks have their turn before it returns, even if it has not waited; the
 * wait for a condition does so before it locks the mutex again. The calls of mutexes, read-write
 * locks and once are not cancellation points.
 *
 * The _until forms give up at an absolute deadline on CLOCK_MONOTONIC (weft_after(); WEFT_FOREVER;
 * 0: do not wait). A call that need not wait succeeds, whatever its deadline. A task whose deadline
 * has passed already, other than 0, lets other tasks have their turn before its call fails.
 */
#ifndef WEFT_SYNC_H
#define WEFT_SYNC_H

#include <weft/base.h>

WEFT_BEGIN_DECLS

/* The content of all of these is Weft's. They are larger than they need be, so that they need not
 * grow in a later version. */

typedef struct weft_mutex {
	uint64_t weft_opaque_[6];
} weft_mutex;

typedef struct weft_cond {
	uint64_t weft_opaque_[6];
} weft_cond;

typedef struct weft_rwlock {
	uint64_t weft_opaque_[6];
} weft_rwlock;

typedef struct weft_sem {
	uint64_t weft_opaque_[6];
} weft_sem;

typedef struct weft_barrier {
	uint64_t weft_opaque_[8];
} weft_barrier;

typedef struct weft_once {
	uint64_t weft_opaque_[6];
} weft_once;

typedef struct weft_latch {
	uint64_t weft_opaque_[6];
} weft_latch;

typedef struct weft_event {
	uint64_t weft_opaque_[6];
} weft_event;

typedef struct weft_waitgroup {
	uint64_t weft_opaque_[6];
} weft_waitgroup;

/* Static initialisers. */
/* clang-format off */
#define WEFT_MUTEX_INIT       {{0}}
#define WEFT_COND_INIT        {{0}}
#define WEFT_RWLOCK_INIT      {{0}}
#define WEFT_SEM_INIT(count)  {{(uint32_t)(count)}}
#define WEFT_BARRIER_INIT(n)  {{(uint32_t)(n)}}
#define WEFT_ONCE_INIT        {{0}}
#define WEFT_LATCH_INIT(n)    {{(uint32_t)(n)}}
#define WEFT_EVENT_INIT       {{0}}
#define WEFT_EVENT_INIT_AUTO  {{0, 0, 0, 1}}
#define WEFT_WAITGROUP_INIT   {{0}}
/* clang-format on */

/* --- mutex --- */

/*
 * A mutual exclusion lock. It is not recursive, and its holder must unlock it.
 *
 * A waiter spins for a moment if the holder is running, then waits in line. The first caller takes
 * a mutex that becomes free, whether it has waited or not. But a waiter that has lost for more than
 * a millisecond gets it from the next unlock. So nobody starves, provided that every holder unlocks
 * it and that the first in line can run. (A task that is pinned to a worker that computes holds up
 * those behind it until then.)
 */
WEFT_API void weft_mutex_init(weft_mutex *mutex);
WEFT_API void weft_mutex_fini(weft_mutex *mutex);

/*
 * Locks the mutex, waiting for it.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Not a cancellation point.
 * Everything before an unlock happens before the return of each later lock.
 *
 * Misuse: the caller holds it already.
 */
WEFT_API void weft_mutex_lock(weft_mutex *mutex);

/*
 * As weft_mutex_lock(), but gives up at the deadline.
 *
 * Returns 0, or -ETIMEDOUT if another task or thread holds it.
 */
WEFT_API WEFT_MUST_CHECK int weft_mutex_lock_until(weft_mutex *mutex, int64_t deadline);

/*
 * Locks the mutex if it is free. From any thread or task. Does not suspend.
 *
 * Returns 0, or -EBUSY if it is held, perhaps by the caller.
 */
WEFT_API WEFT_MUST_CHECK int weft_mutex_try_lock(weft_mutex *mutex);

/*
 * Unlocks the mutex. By its holder. Does not suspend.
 *
 * Misuse: the caller does not hold it.
 */
WEFT_API void weft_mutex_unlock(weft_mutex *mutex);

/* --- condition --- */

/*
 * A condition variable. A caller waits until others have changed data that a mutex protects. As
 * with pthreads, a wait may return without a signal, and other tasks may change the data between
 * the signal and the return. So a wait stands in a loop:
 *
 *   weft_mutex_lock(&mutex);
 *   while (!ready)
 *           if (weft_cond_wait(&cond, &mutex) < 0)
 *                   break;
 *   ...
 *   weft_mutex_unlock(&mutex);
 *
 * The loop ends on -ECANCELED as well: in a task that is cancelled the call no longer waits, and
 * only lets other tasks have their turn.
 */
WEFT_API void weft_cond_init(weft_cond *cond);
WEFT_API void weft_cond_fini(weft_cond *cond);

/*
 * Unlocks the mutex and waits for a signal, in one step; then locks the mutex again.
 *
 * @mutex  held by the caller, and held again at every return. All waits at the same time must use
 *         the same mutex.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Everything before a signal
 * happens before the return of the wait that it woke.
 *
 * Returns 0 (signalled, or for no reason), or:
 *   -ECANCELED  the calling task was cancelled, and has used up no signal
 *
 * Misuse: the caller does not hold the mutex; others wait with another mutex.
 */
WEFT_API WEFT_MUST_CHECK int weft_cond_wait(weft_cond *cond, weft_mutex *mutex);

/*
 * As weft_cond_wait(), but stops waiting for a signal at the deadline. It still waits for the
 * mutex.
 *
 * Returns 0, or:
 *   -ECANCELED  as weft_cond_wait()
 *   -ETIMEDOUT  no signal came in time
 */
WEFT_API WEFT_MUST_CHECK int weft_cond_wait_until(weft_cond *cond, weft_mutex *mutex,
						  int64_t deadline);

/* Ends the wait of the caller that has waited longest, if there is one. With the mutex held or
 * without. Does not suspend. */
WEFT_API void weft_cond_signal(weft_cond *cond);

/* Ends all waits of this moment. With the mutex held or without. Does not suspend. */
WEFT_API void weft_cond_broadcast(weft_cond *cond);

/* --- read-write lock --- */

/*
 * Held by any number of readers or by one writer. First come, first served: a reader that comes
 * while a writer waits queues behind the writer, so neither kind starves. But a reader must not
 * lock it for reading a second time: with a writer between the two, both would wait for ever.
 */
WEFT_API void weft_rwlock_init(weft_rwlock *rwlock);
WEFT_API void weft_rwlock_fini(weft_rwlock *rwlock);

/*
 * Locks for reading or for writing, waiting for it.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Not cancellation points.
 * Everything before the unlock of a writer happens before the return of each later lock; of a
 * reader, before that of each later writer.
 *
 * Misuse: the caller holds it for writing already.
 */
WEFT_API void weft_rwlock_rdlock(weft_rwlock *rwlock);
WEFT_API void weft_rwlock_wrlock(weft_rwlock *rwlock);

/*
 * As weft_rwlock_rdlock() and weft_rwlock_wrlock(), but give up at the deadline.
 *
 * Returns 0, or -ETIMEDOUT if it could not be had in time.
 */
WEFT_API WEFT_MUST_CHECK int weft_rwlock_rdlock_until(weft_rwlock *rwlock, int64_t deadline);
WEFT_API WEFT_MUST_CHECK int weft_rwlock_wrlock_until(weft_rwlock *rwlock, int64_t deadline);

/*
 * Lock it if that takes no waiting. From any thread or task. Do not suspend.
 *
 * Returns 0, or -EBUSY if it is held, or (for reading) a writer waits.
 */
WEFT_API WEFT_MUST_CHECK int weft_rwlock_try_rdlock(weft_rwlock *rwlock);
WEFT_API WEFT_MUST_CHECK int weft_rwlock_try_wrlock(weft_rwlock *rwlock);

/*
 * Ends the caller's hold for writing, or else one hold for reading. Does not suspend.
 *
 * Misuse: another task or thread holds it for writing, or nobody holds it. The lock does not know
 * its readers, so it cannot see that a caller who holds nothing ends the hold of a reader.
 */
WEFT_API void weft_rwlock_unlock(weft_rwlock *rwlock);

/*
 * Turns the caller's hold for writing into one for reading. No writer comes in between; other
 * readers may. Does not suspend.
 *
 * Misuse: the caller does not hold it for writing.
 */
WEFT_API void weft_rwlock_downgrade(weft_rwlock *rwlock);

/*
 * Turns the caller's hold for reading into one for writing. It waits until the other readers have
 * unlocked, ahead of everybody else in line. Nobody writes in between.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Not a cancellation point.
 *
 * Returns 0 (the caller holds it for writing), or:
 *   -EDEADLK  the caller still holds it for reading: another reader waits for an upgrade, and each
 *             would wait for the other
 * After -EDEADLK the caller must unlock before the other one can go on. The data may have changed
 * when the caller has locked it again.
 *
 * Misuse: nobody holds it for reading. The lock does not know its readers, so it cannot see that
 * the caller is none of them.
 */
WEFT_API WEFT_MUST_CHECK int weft_rwlock_upgrade(weft_rwlock *rwlock);

/* As weft_rwlock_upgrade(), but gives up at the deadline. -ETIMEDOUT: there are other readers, and
 * the caller still holds it for reading. */
WEFT_API WEFT_MUST_CHECK int weft_rwlock_upgrade_until(weft_rwlock *rwlock, int64_t deadline);

/* --- semaphore --- */

/* A counting semaphore. First come, first served. It may be ended with any count. */
WEFT_API void weft_sem_init(weft_sem *sem, unsigned count);
WEFT_API void weft_sem_fini(weft_sem *sem);

/*
 * Takes one from the count, waiting while it is 0.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Everything before a release
 * happens before the return of each acquire that takes from what it added.
 *
 * Returns 0, or:
 *   -ECANCELED  the calling task was cancelled while it would have waited, nothing was taken
 */
WEFT_API WEFT_MUST_CHECK int weft_sem_acquire(weft_sem *sem);

/* As weft_sem_acquire(), but gives up at the deadline. -ETIMEDOUT: nothing was taken. */
WEFT_API WEFT_MUST_CHECK int weft_sem_acquire_until(weft_sem *sem, int64_t deadline);

/*
 * As weft_sem_acquire() and weft_sem_acquire_until(), but take n from the count at once, or
 * nothing. Later callers wait behind this one, even if the count is high enough for them. So a
 * caller that wants many is not starved. It waits for ever if the count never becomes n. With n = 0
 * the call takes nothing and does not wait.
 */
WEFT_API WEFT_MUST_CHECK int weft_sem_acquire_n(weft_sem *sem, unsigned n);
WEFT_API WEFT_MUST_CHECK int weft_sem_acquire_n_until(weft_sem *sem, unsigned n, int64_t deadline);

/* The present count, for messages and tests. It may be above 0 while callers wait, if the first of
 * them wants more. From any thread or task. Does not suspend. */
WEFT_API unsigned weft_sem_value(const weft_sem *sem);

/*
 * Takes one from the count if it is not 0. From any thread or task. Does not suspend.
 *
 * Returns 0, or -EAGAIN if the count is 0, or others wait.
 */
WEFT_API WEFT_MUST_CHECK int weft_sem_try_acquire(weft_sem *sem);

/*
 * Adds n to the count, and serves callers that wait first. From any thread or task. Does not
 * suspend.
 *
 * Misuse: the count would exceed 4294967295.
 */
WEFT_API void weft_sem_release(weft_sem *sem, unsigned n);

/* --- barrier --- */

/* Lets n callers wait for each other, again and again. n is at least 1; 0 is misuse. */
WEFT_API void weft_barrier_init(weft_barrier *barrier, unsigned n);
WEFT_API void weft_barrier_fini(weft_barrier *barrier);

/*
 * Waits until n callers are here. The next n form the next round.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Everything before any of a
 * round's calls happens before the return of each of them.
 *
 * Returns 1 to one of the n, 0 to the others, or:
 *   -ECANCELED  the calling task was cancelled while it would have waited; it has left the round,
 *               which then needs another caller in its place
 *   -EPIPE      the barrier is broken
 */
WEFT_API WEFT_MUST_CHECK int weft_barrier_wait(weft_barrier *barrier);

/* As weft_barrier_wait(), but gives up at the deadline. -ETIMEDOUT: the caller has left the
 * round. */
WEFT_API WEFT_MUST_CHECK int weft_barrier_wait_until(weft_barrier *barrier, int64_t deadline);

/*
 * Breaks the barrier: all waits, and all later ones, return -EPIPE. A member that will not come any
 * more calls this, so that the others do not wait for it. A new weft_barrier_init() mends the
 * barrier, once nobody is inside of a call. From any thread or task. Does not suspend.
 *
 * Everything before the break happens before each return of -EPIPE.
 */
WEFT_API void weft_barrier_break(weft_barrier *barrier);

/* --- once --- */

WEFT_API void weft_once_init(weft_once *once);
WEFT_API void weft_once_fini(weft_once *once);

/*
 * Calls fn(arg) if no function was called for this object before. Returns when that one call has
 * returned.
 *
 * From a task (which may suspend and hop) or any thread (which blocks); fn may suspend as well. It
 * is not a cancellation point. fn runs in a region of weft_cancel_mask(), because nobody would
 * finish its work if it were cancelled. Everything that fn did happens before each return.
 *
 * Misuse: fn is NULL; called from the fn that runs for the same object.
 */
WEFT_API void weft_once_call(weft_once *once, void (*fn)(void *arg), void *arg);

/*
 * As weft_once_call(), for a function that may fail: the object is done when fn(arg) has returned
 * 0. Other callers wait while it runs. If it fails, its own call returns the failure, and the next
 * caller runs its own function: the first one that waits, or else the next one that comes. Both
 * calls may be used on one object.
 *
 * fn may be cancelled, as it is not in a masked region. The wait for another caller's fn is not a
 * cancellation point.
 *
 * Returns 0 if the object is done, by this call or by another one. Otherwise it returns the value
 * that fn returned to this call.
 *
 * Misuse: as for weft_once_call().
 */
WEFT_API WEFT_MUST_CHECK int weft_once_try(weft_once *once, int (*fn)(void *arg), void *arg);

/* --- latch --- */

/* Opens for good when it has been counted down n times. With n 0 it is open from the start. */
WEFT_API void weft_latch_init(weft_latch *latch, unsigned n);
WEFT_API void weft_latch_fini(weft_latch *latch);

/*
 * Counts down by n. From any thread or task. Does not suspend.
 *
 * Misuse: n is more than is left.
 */
WEFT_API void weft_latch_count_down(weft_latch *latch, unsigned n);

/*
 * Waits until the latch is open.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Everything before each
 * count down happens before the return.
 *
 * Returns 0, or -ECANCELED if the calling task was cancelled while it would have waited.
 */
WEFT_API WEFT_MUST_CHECK int weft_latch_wait(weft_latch *latch);

/* As weft_latch_wait(), but gives up at the deadline. -ETIMEDOUT: it was not open by then. */
WEFT_API WEFT_MUST_CHECK int weft_latch_wait_until(weft_latch *latch, int64_t deadline);

/* --- event --- */

/*
 * A flag to wait for. It begins unset.
 *
 * An event of weft_event_init_auto() or WEFT_EVENT_INIT_AUTO resets itself: each set ends one wait.
 * That is the longest one or, if there is none, the next one that begins. Several sets without a
 * wait between them count as one.
 */
WEFT_API void weft_event_init(weft_event *event);
WEFT_API void weft_event_init_auto(weft_event *event);
WEFT_API void weft_event_fini(weft_event *event);

/* Sets the event and ends all waits (if it resets itself: the longest one). From any thread or
 * task. Does not suspend. */
WEFT_API void weft_event_set(weft_event *event);

/* Unsets the event. Waits that a set has ended are not affected. From any thread or task. Does not
 * suspend. */
WEFT_API void weft_event_reset(weft_event *event);

/*
 * Waits until the event is set.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Everything before a set
 * happens before the return of each wait that sees it or was woken by it.
 *
 * Returns 0 (it was set, though perhaps it has been reset since), or:
 *   -ECANCELED  the calling task was cancelled while it would have waited
 */
WEFT_API WEFT_MUST_CHECK int weft_event_wait(weft_event *event);

/* As weft_event_wait(), but gives up at the deadline. -ETIMEDOUT: it was not set by then. */
WEFT_API WEFT_MUST_CHECK int weft_event_wait_until(weft_event *event, int64_t deadline);

/* --- wait group --- */

/*
 * Counts the things that are under way, and waits until there is none. The count begins with 0, and
 * may rise and fall any number of times. (A latch counts down once; for tasks that belong together
 * there is weft_group.)
 */
WEFT_API void weft_waitgroup_init(weft_waitgroup *wg);
WEFT_API void weft_waitgroup_fini(weft_waitgroup *wg);

/*
 * Adds n to the count. Does not suspend. Add before you start the work that is counted, and before
 * the wait begins: a wait that finds 0 returns.
 *
 * Misuse: the count would exceed 4294967295.
 */
WEFT_API void weft_waitgroup_add(weft_waitgroup *wg, unsigned n);

/* Takes one from the count. When the count becomes 0 all waits end. Does not suspend. Misuse: the
 * count is 0 already. */
WEFT_API void weft_waitgroup_done(weft_waitgroup *wg);

/*
 * Waits until the count is 0.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Everything before each done
 * that made the count fall to that 0 happens before the return.
 *
 * Returns 0 (it was 0, though perhaps it has risen since), or:
 *   -ECANCELED  the calling task was cancelled while it would have waited
 */
WEFT_API WEFT_MUST_CHECK int weft_waitgroup_wait(weft_waitgroup *wg);

/* As weft_waitgroup_wait(), but gives up at the deadline. -ETIMEDOUT: it was not 0 by then. */
WEFT_API WEFT_MUST_CHECK int weft_waitgroup_wait_until(weft_waitgroup *wg, int64_t deadline);

WEFT_END_DECLS

#endif
