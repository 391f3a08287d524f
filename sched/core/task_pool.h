/* SPDX-License-Identifier: MIT */
/*
 * Memory for task control blocks. A pool has one owner at a time, who alone allocates from it;
 * anyone may free. What others free comes back over a lock-free stack that the owner takes whole,
 * so there is no ABA: nobody pops.
 *
 *                          owner   others
 *   weft__task_pool_alloc    yes       no
 *   weft__task_pool_free     yes      yes     (wait-free for the owner, lock-free for others)
 *
 * Blocks are cut from aligned slabs whose first bytes name the pool. Slabs live as long as the pool,
 * or until weft__task_pool_trim(). The first 2 MiB come from the heap, the others from chunks of that size, each of which may
 * be one huge page: for a million tasks, page faults are most of what spawning costs (24000 of
 * them, and while other threads run each takes a microsecond).
 */
#ifndef WEFT_CORE_TASK_POOL_H
#define WEFT_CORE_TASK_POOL_H

#include "src/sanitizer.h"
#include "task.h"

#include <stdlib.h>

#define WEFT__TASK_SLAB_SIZE (64 << 10)

enum slab_chunk { CHUNK_NONE, CHUNK_FIRST, CHUNK_OTHER };

/* Of such a size that no block behind it is in three cache lines. */
struct task_slab {
	_Alignas(32) struct task_pool *pool; /* immutable */
	struct task_slab *next;              /* of the owner */
	enum slab_chunk chunk;               /* immutable; of the heap; or of a chunk: the first
					      * slab there, a later one */
	uint16_t free;                       /* of the owner, as it trims: its free blocks */
	bool chunk_stays;                    /* of a chunk's first slab; as .free */
};

struct task_pool {
	/* owner only */
	struct task *local;      /* free blocks, linked by .value */
	struct task_slab *slabs; /* all of them, the newest first */
	char *chunk;             /* the part of the newest chunk that is no slab yet */
	unsigned chunk_left;     /* how many slabs that is */
	unsigned heap_slabs;     /* how many are not of chunks */

	/* others push, the owner takes all */
	_Alignas(64) _Atomic(struct task *) returned;
};

void weft__task_pool_init(struct task_pool *pool);

/* Frees every block, in use or not. */
void weft__task_pool_fini(struct task_pool *pool);

/*
 * Gives back to the system what holds no block in use: slabs of the heap, and whole chunks. By the
 * owner. It goes through all free blocks, which takes some nanoseconds for each that the cache holds
 * and a hundred for each other one.
 *
 * Nobody else knows a block that is free: who frees one touches it for the last time before it is in
 * a list, and a slab with a block that is not in a list stays.
 */
void weft__task_pool_trim(struct task_pool *pool);

/* How many blocks are in use. While nobody uses the pool. */
size_t weft__task_pool_used(struct task_pool *pool);

/* Cold parts of the two below: makes pool->local something else than NULL, false: no memory; gives
 * a block back to the pool of somebody else. */
bool weft__task_pool_refill(struct task_pool *pool);
void weft__task_pool_return(struct task_pool *pool, struct task *t);

/* A block with undefined content, except that it has no cold part; or NULL. */
static inline struct task *weft__task_pool_alloc(struct task_pool *pool)
{
	if (__builtin_expect(!pool->local, 0) && !weft__task_pool_refill(pool))
		return NULL;
	struct task *t = pool->local;
	pool->local = t->value;
	return t;
}

/* Gives a block, and its cold part, back to the pool that it came from; `mine` is the caller's own
 * pool, or NULL. */
static inline void weft__task_pool_free(struct task_pool *mine, struct task *t)
{
	uintptr_t slab = (uintptr_t)t & ~((uintptr_t)WEFT__TASK_SLAB_SIZE - 1);
	struct task_pool *pool = ((struct task_slab *)slab)->pool;

	/* Whoever detaches a task that has ended is not ordered after it. */
	san_ignore_begin();
	/* relaxed: its end has been done, so this is a cold part, and ours. */
	if (__builtin_expect(atomic_load_explicit(&t->extra, memory_order_relaxed) != 0, 0)) {
		free(task_cold(t));
		task_set_cold(t, NULL);
	}
	san_ignore_end();
	/* relaxed: for misuse only. */
	atomic_store_explicit(&t->join, JOIN_FREED, memory_order_relaxed);
	san_forget(t, sizeof *t);
	if (pool == mine) {
		t->value = pool->local;
		pool->local = t;
		return;
	}
	weft__task_pool_return(pool, t);
}

#endif
