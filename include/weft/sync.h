/* SPDX-License-Identifier: MIT */
/*
 * Locks and their friends: mutex, condition, read-write lock, semaphore, barrier, once, latch,
 * event and wait group.
 *
 * All of it works from tasks and from plain threads alike, also between the two and between
 * runtimes, with a runtime or without one. A task that waits suspends, and may hop to another
 * thread; its worker runs others meanwhile. A plain thread that waits blocks. A call that may
 * suspend, and finds what it wants, gives way now and then all the same: so a loop over such calls
 * cannot keep a worker for itself. A loop over calls that do not suspend (the try_ forms) can; it
 * should yield.
 *
 * The objects lie in the caller's memory. A static initialiser or an init makes one; a fini ends
 * it, after which the memory may be used for anything. The fini may be left out. Ending one that is
 * held or waited for is misuse. An object may be freed as soon as the call that used it last has
 * returned, even where the call of another that let this one go on has not: who unlocks, releases,
 * counts down or sets does not look at the object after that. An object must not be moved or copied
 * while it is in use.
 *
 * Holders: a task holds a mutex or a lock for writing wherever it runs (a fork that runs inline is
 * a task of its own), outside of a task the thread does. A task that ends while it holds one leaves
 * it locked for ever. Nobody inherits it, not even a task at the same address: tasks are told apart
 * by their numbers (weft_task_number() in task.h).
 *
 * Misuse prints one line and aborts. The line names the call, the object, and the task (its number
 * and its name or function) or the thread.
 *
 * Cancellation points (weft_cancel() in task.h): waiting for a condition, a semaphore, a barrier, a
 * latch, an event, a wait group. One that is cancelled has taken nothing. It lets other tasks have their turn before it
 * returns, even if it has not waited; a condition's wait does so before it locks the mutex again. No
 * cancellation points: mutexes, read-write locks, and what runs once.
 *
 * The _until forms give up at an absolute deadline on CLOCK_MONOTONIC (weft_after(); WEFT_FOREVER;
 * 0: do not wait). What can be had at once is taken whatever the deadline. A task whose deadline
 * has passed already, other than 0, lets other tasks have their turn before it is refused.
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

/* --- mutex
 * ----------------------------------------------------------------------------------------------- */

/*
 * A mutual exclusion lock. Not recursive. Who unlocks it must be who locked it.
 *
 * A waiter spins for a moment if the holder is running, then waits in line. A mutex that becomes
 * free is taken by whoever comes first, but a waiter that has lost for more than a millisecond is
 * handed it by the next unlock, so nobody starves, as long as those who hold it unlock it, and
 * whoever is next in line is not kept from running (a task pinned to a worker that computes holds
 * up those behind it until then).
 */
WEFT_API void weft_mutex_init(weft_mutex *mutex);
WEFT_API void weft_mutex_fini(weft_mutex *mutex);

/*
 * Locks the mutex, waiting for it.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). No cancellation point.
 * Everything before an unlock happens before the return of each later lock.
 *
 * Misuse: the caller holds it already.
 */
WEFT_API void weft_mutex_lock(weft_mutex *mutex);

/*
 * As weft_mutex_lock(), but gives up at the deadline.
 *
 * 0; -ETIMEDOUT: somebody else holds it.
 */
WEFT_API WEFT_MUST_CHECK int weft_mutex_lock_until(weft_mutex *mutex, int64_t deadline);

/*
 * Locks the mutex if it is free. From any thread or task. Does not suspend.
 *
 * 0; -EBUSY: somebody holds it, the caller perhaps.
 */
WEFT_API WEFT_MUST_CHECK int weft_mutex_try_lock(weft_mutex *mutex);

/*
 * Unlocks the mutex. By its holder. Does not suspend.
 *
 * Misuse: the caller does not hold it.
 */
WEFT_API void weft_mutex_unlock(weft_mutex *mutex);

/* --- condition
 * ------------------------------------------------------------------------------------------- */

/*
 * A condition variable: waits, under a mutex, for others to change what that mutex protects. As
 * with pthreads, a wait may return although nobody signalled for it, and what was true at the
 * signal may have been changed by others before the waiter has the mutex again. So a wait stands in
 * a loop:
 *
 *   weft_mutex_lock(&mutex);
 *   while (!ready)
 *           weft_cond_wait(&cond, &mutex);
 *   ...
 *   weft_mutex_unlock(&mutex);
 *
 * In a task that may be cancelled the loop should also end on -ECANCELED: it no longer waits
 * then, and only lets other tasks have their turn each time.
 */
WEFT_API void weft_cond_init(weft_cond *cond);
WEFT_API void weft_cond_fini(weft_cond *cond);

/*
 * Unlocks the mutex and waits for a signal, in one step; then locks the mutex again.
 *
 * @mutex  held by the caller, and held again at every return. All who wait at the same time use the
 * same one.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Everything before a signal
 * happens before the return of the wait that it woke.
 *
 * 0: signalled, or for no reason; -ECANCELED: the calling task was cancelled, and no signal was
 * used up.
 *
 * Misuse: the caller does not hold the mutex; others wait with another mutex.
 */
WEFT_API WEFT_MUST_CHECK int weft_cond_wait(weft_cond *cond, weft_mutex *mutex);

/*
 * As weft_cond_wait(), but stops waiting for a signal at the deadline. It still waits for the
 * mutex.
 *
 * 0; -ECANCELED; -ETIMEDOUT: no signal came in time.
 */
WEFT_API WEFT_MUST_CHECK int weft_cond_wait_until(weft_cond *cond, weft_mutex *mutex,
						  int64_t deadline);

/* Ends the wait of the one that waits longest, if anybody waits. With the mutex held or without.
 * Does not suspend. */
WEFT_API void weft_cond_signal(weft_cond *cond);

/* Ends the waits of all who wait now. With the mutex held or without. Does not suspend. */
WEFT_API void weft_cond_broadcast(weft_cond *cond);

/* --- read-write lock
 * ------------------------------------------------------------------------------------- */

/*
 * Held by any number of readers or by one writer. First come, first served: a reader that comes
 * while a writer waits waits behind it, so neither kind starves. Hence who reads must not lock it
 * for reading once more: with a writer between the two, both would wait for ever.
 */
WEFT_API void weft_rwlock_init(weft_rwlock *rwlock);
WEFT_API void weft_rwlock_fini(weft_rwlock *rwlock);

/*
 * Locks for reading or for writing, waiting for it.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). No cancellation points.
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
 * 0; -ETIMEDOUT: it could not be had in time.
 */
WEFT_API WEFT_MUST_CHECK int weft_rwlock_rdlock_until(weft_rwlock *rwlock, int64_t deadline);
WEFT_API WEFT_MUST_CHECK int weft_rwlock_wrlock_until(weft_rwlock *rwlock, int64_t deadline);

/*
 * Lock it if that takes no waiting. From any thread or task. Do not suspend.
 *
 * 0; -EBUSY: it is held, or (for reading) somebody waits to write.
 */
WEFT_API WEFT_MUST_CHECK int weft_rwlock_try_rdlock(weft_rwlock *rwlock);
WEFT_API WEFT_MUST_CHECK int weft_rwlock_try_wrlock(weft_rwlock *rwlock);

/*
 * Unlocks what the caller holds: for writing, else one hold for reading. Does not suspend.
 *
 * Misuse: another one holds it for writing, or nobody holds it. Who reads is not known: an unlock
 * for reading by one that does not read cannot be told from one by a reader.
 */
WEFT_API void weft_rwlock_unlock(weft_rwlock *rwlock);

/*
 * Turns the caller's hold for writing into one for reading; no writer comes in between, other
 * readers may. Does not suspend.
 *
 * Misuse: the caller does not hold it for writing.
 */
WEFT_API void weft_rwlock_downgrade(weft_rwlock *rwlock);

/*
 * Turns the caller's hold for reading into one for writing. It waits until the other readers have
 * unlocked; nobody writes in between. It comes before all others that wait.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). No cancellation point.
 *
 * 0: the caller holds it for writing. Otherwise it still holds it for reading: -EDEADLK: another
 * reader waits for the same, so each would wait for the other. The caller must unlock before the
 * other one can go on. What was read may have changed by the time that the caller has locked it
 * anew.
 *
 * Misuse: nobody holds it for reading. Who reads is not known: the call by one that does not read
 * cannot be told from one by a reader.
 */
WEFT_API WEFT_MUST_CHECK int weft_rwlock_upgrade(weft_rwlock *rwlock);

/* As weft_rwlock_upgrade(), but gives up at the deadline. -ETIMEDOUT: others read; the caller still
 * holds it for reading. */
WEFT_API WEFT_MUST_CHECK int weft_rwlock_upgrade_until(weft_rwlock *rwlock, int64_t deadline);

/* --- semaphore
 * ------------------------------------------------------------------------------------------- */

/* A counting semaphore. First come, first served. Ending one does not ask what its count is. */
WEFT_API void weft_sem_init(weft_sem *sem, unsigned count);
WEFT_API void weft_sem_fini(weft_sem *sem);

/*
 * Takes one from the count, waiting while it is 0.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Everything before a release
 * happens before the return of each acquire that takes what it gave.
 *
 * 0; -ECANCELED: the calling task was cancelled while it would have waited, nothing was taken.
 */
WEFT_API WEFT_MUST_CHECK int weft_sem_acquire(weft_sem *sem);

/* As weft_sem_acquire(), but gives up at the deadline. -ETIMEDOUT: nothing was taken. */
WEFT_API WEFT_MUST_CHECK int weft_sem_acquire_until(weft_sem *sem, int64_t deadline);

/*
 * As weft_sem_acquire() and weft_sem_acquire_until(), but take n from the count at once, or
 * nothing. Those who come later wait behind the caller, though there may be enough for them; so one
 * that wants many is not starved. The caller waits for ever where the count never gets that high. n
 * is 0: nothing is taken, at once.
 */
WEFT_API WEFT_MUST_CHECK int weft_sem_acquire_n(weft_sem *sem, unsigned n);
WEFT_API WEFT_MUST_CHECK int weft_sem_acquire_n_until(weft_sem *sem, unsigned n, int64_t deadline);

/* The count as it is just now, for messages and tests. It may be above 0 although callers wait: the
 * first of them wants more. From any thread or task. Does not suspend. */
WEFT_API unsigned weft_sem_value(const weft_sem *sem);

/*
 * Takes one from the count if it is not 0. From any thread or task. Does not suspend.
 *
 * 0; -EAGAIN: it is 0, or others wait.
 */
WEFT_API WEFT_MUST_CHECK int weft_sem_try_acquire(weft_sem *sem);

/*
 * Adds n to the count; those who wait get theirs first. From any thread or task. Does not suspend.
 *
 * Misuse: the count would exceed 4294967295.
 */
WEFT_API void weft_sem_release(weft_sem *sem, unsigned n);

/* --- barrier
 * --------------------------------------------------------------------------------------------- */

/* Lets n wait for each other, again and again. n: at least 1; 0 is misuse. */
WEFT_API void weft_barrier_init(weft_barrier *barrier, unsigned n);
WEFT_API void weft_barrier_fini(weft_barrier *barrier);

/*
 * Waits until n callers are here. The next n form the next round.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Everything before any of a
 * round's calls happens before the return of each of them.
 *
 * 1 for one of the n, 0 for the others. -ECANCELED: the calling task was cancelled while it would
 * have waited. It has left the round, which then needs another caller in its place. -EPIPE: the
 * barrier is broken.
 */
WEFT_API WEFT_MUST_CHECK int weft_barrier_wait(weft_barrier *barrier);

/* As weft_barrier_wait(), but gives up at the deadline. -ETIMEDOUT: the caller has left the
 * round. */
WEFT_API WEFT_MUST_CHECK int weft_barrier_wait_until(weft_barrier *barrier, int64_t deadline);

/*
 * Breaks the barrier: those who wait, and all who come later, are told -EPIPE. For a member that
 * will not come any more, so that the others do not wait for it. A new weft_barrier_init() mends
 * it, once nobody is inside of a call. From any thread or task. Does not suspend.
 *
 * Everything before the break happens before the return of the calls that are told.
 */
WEFT_API void weft_barrier_break(weft_barrier *barrier);

/* --- once
 * ------------------------------------------------------------------------------------------------ */

WEFT_API void weft_once_init(weft_once *once);
WEFT_API void weft_once_fini(weft_once *once);

/*
 * Calls fn(arg) if nobody has called one for this object, and returns when that one call has
 * returned.
 *
 * From a task (which may suspend and hop) or any thread (which blocks); fn may suspend as well. No
 * cancellation point, and none in fn: it runs in a region of weft_cancel_mask(), because what it
 * leaves undone is never done. Everything that fn did happens before each return.
 *
 * Misuse: fn is NULL; called from the fn that runs for the same object.
 */
WEFT_API void weft_once_call(weft_once *once, void (*fn)(void *arg), void *arg);

/*
 * As weft_once_call(), for a function that may fail: the object is done when fn(arg) has returned
 * 0. While it runs, others wait. If it fails, its caller is told so, and the next one in line, or
 * the next to call, runs its own function. Both calls may be used on one object.
 *
 * fn may be cancelled: it runs in no masked region. Waiting for another one's fn is no cancellation
 * point.
 *
 * 0: it is done, by this call or by another one. Else what fn returned to this call.
 *
 * Misuse: as for weft_once_call().
 */
WEFT_API WEFT_MUST_CHECK int weft_once_try(weft_once *once, int (*fn)(void *arg), void *arg);

/* --- latch
 * ----------------------------------------------------------------------------------------------- */

/* Opens for good when it has been counted down n times; 0: at once. */
WEFT_API void weft_latch_init(weft_latch *latch, unsigned n);
WEFT_API void weft_latch_fini(weft_latch *latch);

/*
 * Counts down by n. From any thread or task. Does not suspend.
 *
 * Misuse: less than n is left.
 */
WEFT_API void weft_latch_count_down(weft_latch *latch, unsigned n);

/*
 * Waits until the latch is open.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Everything before each
 * count down happens before the return.
 *
 * 0; -ECANCELED: the calling task was cancelled while it would have waited.
 */
WEFT_API WEFT_MUST_CHECK int weft_latch_wait(weft_latch *latch);

/* As weft_latch_wait(), but gives up at the deadline. -ETIMEDOUT: it was not open by then. */
WEFT_API WEFT_MUST_CHECK int weft_latch_wait_until(weft_latch *latch, int64_t deadline);

/* --- event
 * ----------------------------------------------------------------------------------------------- */

/*
 * A flag to wait for. It begins unset.
 *
 * One that resets itself (weft_event_init_auto(), WEFT_EVENT_INIT_AUTO) lets one wait go on for each
 * set: the one that waits longest, or the next to come. Several sets that nobody waits for count as
 * one.
 */
WEFT_API void weft_event_init(weft_event *event);
WEFT_API void weft_event_init_auto(weft_event *event);
WEFT_API void weft_event_fini(weft_event *event);

/* Sets it, and ends the waits of all who wait (one that resets itself: of the first). From any thread or task. Does not suspend. */
WEFT_API void weft_event_set(weft_event *event);

/* Unsets it. Who has been woken by a set stays so. From any thread or task. Does not suspend. */
WEFT_API void weft_event_reset(weft_event *event);

/*
 * Waits until the event is set.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Everything before a set
 * happens before the return of each wait that sees it or was woken by it.
 *
 * 0: it was set, though perhaps it has been reset since; -ECANCELED: the calling task was cancelled
 * while it would have waited.
 */
WEFT_API WEFT_MUST_CHECK int weft_event_wait(weft_event *event);

/* As weft_event_wait(), but gives up at the deadline. -ETIMEDOUT: it was not set by then. */
WEFT_API WEFT_MUST_CHECK int weft_event_wait_until(weft_event *event, int64_t deadline);

/* --- wait group
 * ------------------------------------------------------------------------------------------ */

/*
 * Counts what is under way, and waits until nothing is. The count begins with 0, and rises and falls
 * as often as one likes. (What is counted down once is a latch; tasks that belong together are a
 * weft_group.)
 */
WEFT_API void weft_waitgroup_init(weft_waitgroup *wg);
WEFT_API void weft_waitgroup_fini(weft_waitgroup *wg);

/*
 * Adds n to the count. Does not suspend. Whoever is to be waited for adds before the wait begins, as
 * a rule before what is counted is started: a wait that finds 0 returns.
 *
 * Misuse: the count would exceed 4294967295.
 */
WEFT_API void weft_waitgroup_add(weft_waitgroup *wg, unsigned n);

/* Takes one from the count. At 0 it ends the waits of all who wait. Does not suspend. Misuse: it is
 * 0. */
WEFT_API void weft_waitgroup_done(weft_waitgroup *wg);

/*
 * Waits until the count is 0.
 *
 * From a task (which may suspend and hop) or any thread (which blocks). Everything before each done
 * that made the count fall to that 0 happens before the return.
 *
 * 0: it was 0, though perhaps it has risen since; -ECANCELED: the calling task was cancelled while
 * it would have waited.
 */
WEFT_API WEFT_MUST_CHECK int weft_waitgroup_wait(weft_waitgroup *wg);

/* As weft_waitgroup_wait(), but gives up at the deadline. -ETIMEDOUT: it was not 0 by then. */
WEFT_API WEFT_MUST_CHECK int weft_waitgroup_wait_until(weft_waitgroup *wg, int64_t deadline);

WEFT_END_DECLS

#endif
