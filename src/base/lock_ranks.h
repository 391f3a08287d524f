/* SPDX-License-Identifier: MIT */
/*
 * The order of the library's locks. It is the one source of truth: lockcheck.c enforces it in a
 * debug build, and tests/lock_ranks.py compares it with the tables in docs/architecture.md.
 *
 * A lock's rank is its place in this list. A thread takes locks in the order of the list, from top
 * to bottom. An entry says more exactly what may happen while a thread holds the lock. If the
 * thread holds several locks, the second part counts of the innermost one only. What the fourth
 * part allows must be allowed by each of them. An entry's parts are:
 *
 *   1. the rank's name, and the lock;
 *   2. the ranks of which the thread may take a lock next;
 *   3. when the thread may take another lock of the same rank;
 *   4. what else the thread may do;
 *   5. what the lock protects.
 *
 * The third part is one of these:
 *
 *   NEVER       It holds one lock of this rank at a time.
 *   RISING      It takes them in rising order of their addresses.
 *   NESTS       It may take the same one again.
 *   UNDER(X)    It takes several only while it holds the lock of rank X to which all of them
 *               belong. Only one thread at a time holds that lock. So no two threads take the same
 *               locks in different orders at once.
 *
 * The fourth part is 0, or a combination of these:
 *
 *   MAPS        It may allocate memory, map memory, or give memory back to the system.
 *   WAKES       It may wake a thread that sleeps on a futex.
 *
 * While a thread holds any of these locks it neither switches coroutines nor sleeps. To wait for
 * the next lock is no sleep, and neither is a pause (pause.h).
 *
 * There are two exceptions to the order. An attempt that does not wait (weft__trylock()) may come
 * against the order, because it cannot be part of a deadlock. The handlers of fork() take locks
 * from top to bottom, whatever the second part says (process_locks.h).
 */
#ifndef WEFT_SRC_BASE_LOCK_RANKS_H
#define WEFT_SRC_BASE_LOCK_RANKS_H

/* clang-format off */
#define WEFT__LOCK_RANKS(RANK)                                                                     \
	/* The program's objects. */                                                               \
	RANK(GROUP, "group.ends.lock", IN(FAMILY) | IN(BRANCH), NEVER, 0,                          \
	     "members, counts, limit, results (`group.h`)")                                        \
	RANK(CHANNEL, "weft_chan.lock", 0, RISING, 0,                                              \
	     "the buffer and the two queues of a channel or timer (`chan.h`)")                     \
	RANK(QUEUE, "sync_queue.lock", 0, NEVER, 0,                                                \
	     "the queue of waits of all other objects, and the state that goes with it "           \
	     "(`queue.h`)")                                                                        \
	RANK(SEM, "sem.word", 0, NEVER, 0,                                                         \
	     "a semaphore's queue of waits (`sem.c`)")                                             \
	/* Tasks and scopes. */                                                                    \
	RANK(FAMILY, "root.cancel", IN(FORK) | IN(BRANCH) | IN(SCOPES), UNDER(GROUP), 0,           \
	     "the family's list, requests to all members (`family.h`)")                            \
	RANK(FORK, "fork.cancel", 0, UNDER(FAMILY), 0,                                             \
	     "the look of a canceller at a fork's wait (`cancel.c`)")                              \
	RANK(BRANCH, "branch.lock", 0, NEVER, 0,                                                   \
	     "the owner of a branch (`family.h`)")                                                 \
	RANK(SCOPES, "worker.scopes.lock", 0, NEVER, 0,                                            \
	     "the tree of scopes' deadlines (`scope.h`)")                                          \
	RANK(TIMERS, "worker.timers.lock", 0, NEVER, 0,                                            \
	     "the tree of waits' deadlines (`timer.h`)")                                           \
	/* A runtime. */                                                                           \
	RANK(ADMIN, "runtime.admin", IN(IDLE), NEVER, MAPS | WAKES,                                \
	     "the states and threads of workers, the worker table (`workers.c`)")                  \
	RANK(RCU, "rcu",                                                                           \
	     IN(STARVED) | IN(IDLE) | IN(TRIM) | IN(DEPOT) |                                       \
	     IN(STACK_POOLS) | IN(STACK_POOL), NESTS, MAPS | WAKES,                                \
	     "a read-side section: the worker table that a worker reads (`urcu.h`)")               \
	RANK(OUTSIDE, "runtime.outside_lock", IN(TRIM), NEVER, MAPS,                               \
	     "control blocks for tasks from outside (`submit.c`)")                                 \
	RANK(STARVED, "runtime.starved_lock", 0, NEVER, 0,                                         \
	     "tasks that wait for a stack, the reserves (`starve.c`, `reserve.c`)")                \
	RANK(EARLY, "early.lock", 0, NEVER, 0,                                                     \
	     "wakes that came before their task was parked (`early.c`)")                           \
	RANK(BLOCKING, "blocking.c pool.lock", 0, NEVER, 0,                                        \
	     "the jobs and threads for blocking calls (`blocking.c`)")                             \
	/* The process. */                                                                         \
	RANK(PROCESS, "WEFT__LOCK_PROCESS", 0, NEVER, 0,                                           \
	     "how many runtimes are alive (`process.c`)")                                          \
	RANK(LOCAL_KEYS, "WEFT__LOCK_LOCAL_KEYS", 0, NEVER, 0,                                     \
	     "the keys of task-local values (`local.c`)")                                          \
	RANK(POLLERS, "WEFT__LOCK_POLLERS", 0, NEVER, 0,                                           \
	     "the pollers of all runtimes (`poller.c`)")                                           \
	RANK(TRIM, "WEFT__LOCK_TRIM", IN(DEPOTS) | IN(STACK_POOL), NEVER, MAPS,                    \
	     "one thread at a time gives back everything (`stack_trim.c`)")                        \
	RANK(DEPOTS, "WEFT__LOCK_DEPOTS",                                                          \
	     IN(IDLE) | IN(DEPOT) | IN(STACK_POOL), NEVER, MAPS | WAKES,                           \
	     "the list of all depots (`depot.c`)")                                                 \
	RANK(IDLE, "runtime.idle_lock", 0, NEVER, 0,                                               \
	     "the list of sleepers, the keeper, `awake_count` (`idle.c`, `rouse.c`)")              \
	RANK(DEPOT, "depot.lock", 0, UNDER(DEPOTS), 0,                                             \
	     "the chains of one depot (`depot.c`)")                                                \
	RANK(STACK_POOLS, "WEFT__LOCK_STACK_POOLS", 0, NEVER, MAPS,                                \
	     "adding a pool of stacks (`stack_pool.c`)")                                           \
	RANK(STACK_POOL, "pool.lock", 0, UNDER(STACK_POOLS), 0,                                    \
	     "the arenas and slots of one pool (`stack_pool.h`)")                                  \
	RANK(NEUTRAL, "neutral fiber", 0, NEVER, 0,                                                \
	     "the neutral fiber, in ThreadSanitizer's user build (`sanitizer.c`)")
/* clang-format on */

#define RANK(rank, lock, next, again, may, protects) WEFT__RANK_##rank,
enum weft__lock_rank {
	WEFT__RANK_NONE, /* the lock has not been given a rank: taking it aborts */
	WEFT__LOCK_RANKS(RANK) WEFT__RANKS
};
#undef RANK

#endif
