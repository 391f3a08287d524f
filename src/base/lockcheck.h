/* SPDX-License-Identifier: MIT */
/*
 * A debug build (-Dlockcheck=true) checks the order of locks (lock_ranks.h) while the library runs.
 * What breaks a rule aborts with one line. The line names the place, the lock that the thread
 * holds, and where the thread took that lock.
 *
 * The check needs no deadlock to happen: one thread that breaks a rule once is enough. The check of
 * a lock comes before the wait for it, so a deadlock of a single thread is reported, too.
 *
 * Each thread has a record of what it holds (src/tls.c). No thread holds a lock over a switch. So
 * the record belongs to a thread, although the code that takes locks belongs to coroutines.
 *
 * A lock's functions are macros, too, of the same names. So the check knows where they are called.
 * In other builds the macros below leave nothing but the call, and a lock has no rank.
 */
#ifndef WEFT_SRC_BASE_LOCKCHECK_H
#define WEFT_SRC_BASE_LOCKCHECK_H

#include "lock_ranks.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef WEFT_LOCKCHECK

#define WEFT__LOCKCHECK 1

/* The locks of one rank that a thread holds. */
struct weft__held {
	unsigned count;
	int line; /* this and the next two: of the lock that was taken last */
	const char *file;
	const void *lock;
};

/* Only its own thread touches it. */
struct weft__locks_held {
	uint32_t ranks; /* bit r: of[r].count is not 0 */
	bool forks;     /* between the handlers of a fork() */
	struct weft__held of[WEFT__RANKS];
};

/*
 * Sets the function that returns the calling thread's record. The pointer is for the caller of that
 * function only, which must not switch. The layer that has thread-local variables calls this when
 * the library is loaded (src/tls.c). Nothing is checked before.
 */
void weft__lockcheck_begin(struct weft__locks_held *(*thread_locks)(void));

/* Called before the wait for a lock, and after an attempt that has succeeded. */
void weft__lockcheck_takes(const void *lock, unsigned rank, const char *file, int line);
void weft__lockcheck_tried(const void *lock, unsigned rank, const char *file, int line);
/* Called before the release. */
void weft__lockcheck_gives(const void *lock, unsigned rank, const char *file, int line);

void weft__lockcheck_maps(const char *file, int line);
void weft__lockcheck_wakes(const char *file, int line);
void weft__lockcheck_sleeps(const char *file, int line);
void weft__lockcheck_switches(const char *file, int line);
void weft__lockcheck_forks(bool forks);

/* A call that waits for a lock, tries to take it, or gives it back. `call` of the second and third
 * kind returns whether it has the lock. After WEFT__TRIES() the caller does not wait for the lock
 * if it failed, so any order will do. */
#define WEFT__TAKES(lock, rank, call) (weft__lockcheck_takes(lock, rank, __FILE__, __LINE__), call)
#define WEFT__TAKES_IF(lock, rank, call) \
	((call) && (weft__lockcheck_takes(lock, rank, __FILE__, __LINE__), true))
#define WEFT__TRIES(lock, rank, call) \
	((call) && (weft__lockcheck_tried(lock, rank, __FILE__, __LINE__), true))
#define WEFT__GIVES(lock, rank, call) (weft__lockcheck_gives(lock, rank, __FILE__, __LINE__), call)

/* Statements that stand where the thread is about to do that. */
#define WEFT__MAPS()       weft__lockcheck_maps(__FILE__, __LINE__)
#define WEFT__WAKES()      weft__lockcheck_wakes(__FILE__, __LINE__)
#define WEFT__SLEEPS()     weft__lockcheck_sleeps(__FILE__, __LINE__)
#define WEFT__SWITCHES()   weft__lockcheck_switches(__FILE__, __LINE__)
#define WEFT__FORKS(forks) weft__lockcheck_forks(forks)

/* A member of a lock, and its value. */
#define WEFT__RANK_MEMBER          uint32_t rank;
#define WEFT__RANK_INIT(name)      , WEFT__RANK_##name
#define WEFT__SET_RANK(lock, name) ((void)((lock)->rank = WEFT__RANK_##name))

#else

#define WEFT__LOCKCHECK 0

#define WEFT__TAKES(lock, rank, call)    (call)
#define WEFT__TAKES_IF(lock, rank, call) (call)
#define WEFT__TRIES(lock, rank, call)    (call)
#define WEFT__GIVES(lock, rank, call)    (call)
#define WEFT__MAPS()                     ((void)0)
#define WEFT__WAKES()                    ((void)0)
#define WEFT__SLEEPS()                   ((void)0)
#define WEFT__SWITCHES()                 ((void)0)
#define WEFT__FORKS(forks)               ((void)0)
#define WEFT__RANK_MEMBER
#define WEFT__RANK_INIT(name)
#define WEFT__SET_RANK(lock, name) ((void)0)

#endif

#endif
