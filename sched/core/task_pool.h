/* SPDX-License-Identifier: MIT */
/*
 * Memory for task control blocks.
 *
 * A pool has one owner at a time. Only the owner allocates from it, and anyone may free. Blocks
 * that others free come back over a lock-free stack. The owner takes the whole stack and nobody
 * pops, so there is no ABA problem.
 *
 *                          owner   others
 *   weft__task_pool_alloc    yes       no
 *   weft__task_pool_free     yes      yes     (wait-free for the owner, lock-free for others)
 *
 * Blocks are cut from aligned slabs, whose first bytes name the pool. Slabs live as long as the
 * pool, or until weft__task_pool_trim(). The first 2 MiB come from the heap. The others come from
 * chunks of that size, each of which may be one huge page. With a million tasks most of the cost of
 * a spawn is page faults. There are 24000 of them. Each takes a microsecond while other threads
 * run.
 */
#ifndef WEFT_CORE_TASK_POOL_H
#define WEFT_CORE_TASK_POOL_H

#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/sanitizer.h"
#include "task.h"

#include <stdlib.h>

#define WEFT__TASK_SLAB_SIZE (64 << 10)

enum slab_chunk { CHUNK_NONE, CHUNK_FIRST, CHUNK_OTHER };

/* Its size keeps every block behind it within two cache lines. */
struct task_slab {
	_Alignas(32) struct task_pool *pool; /* immutable */
	struct task_slab *next;              /* of the owner */
	/* Immutable: on the heap, the first slab of a chunk, or a later one. */
	enum slab_chunk chunk;
	/* Of the owner while it trims: how many blocks are free. */
	uint16_t free;
	bool chunk_stays; /* of a chunk's first slab; used as .free is */
};

struct task_pool {
	/* owner only */
	struct task *local;      /* free blocks, linked by .value */
	struct task_slab *slabs; /* all slabs, the newest first */
	char *chunk;             /* the part of the newest chunk that is not cut into slabs yet */
	unsigned chunk_left;     /* how many slabs fit there */
	unsigned heap_slabs;     /* how many slabs are on the heap */

	/* others push, and the owner takes the whole stack */
	_Alignas(64) _Atomic(struct task *) returned;
};

void weft__task_pool_init(struct task_pool *pool);

/* Frees every block, whether in use or not. */
void weft__task_pool_fini(struct task_pool *pool);

/*
 * Gives memory without a block in use back to the system: slabs of the heap, and whole chunks. By
 * the owner. It visits every free block. A visit takes some nanoseconds if the block is in the
 * cache, and a hundred if not.
 *
 * Nobody else touches a free block: the thread that frees a block touches it for the last time
 * before the block is in a list. A slab stays if one of its blocks is in no list.
 */
void weft__task_pool_trim(struct task_pool *pool);

/* How many blocks are in use. Call it while nobody uses the pool. */
size_t weft__task_pool_used(struct task_pool *pool);

/* The slow paths of the two functions below. The first one fills pool->local, and returns false if
 * there is no memory. The second one gives a block back to another owner's pool. */
bool weft__task_pool_refill(struct task_pool *pool);
void weft__task_pool_return(struct task_pool *pool, struct task *t);

/* Returns a block or NULL. Its content is undefined, except that it has no cold part. */
static inline struct task *weft__task_pool_alloc(struct task_pool *pool)
{
	if (unlikely(!pool->local) && !weft__task_pool_refill(pool))
		return NULL;
	struct task *t = pool->local;
	pool->local = t->value;
	return t;
}

/* Frees the cold part of a block, and gives the block back to its pool. `mine` is the caller's own
 * pool, or NULL. */
static inline void weft__task_pool_free(struct task_pool *mine, struct task *t)
{
	uintptr_t slab = (uintptr_t)t & ~((uintptr_t)WEFT__TASK_SLAB_SIZE - 1);
	struct task_pool *pool = ((struct task_slab *)slab)->pool;

	/* A thread that detaches a task after its end is not ordered after that end. */
	san_ignore_begin();
	/* relaxed: its end has run, so this is a cold part, and it is ours. */
	if (unlikely(load_relaxed(&t->extra) != 0)) {
		free(task_cold(t));
		task_set_cold(t, NULL);
	}
	san_ignore_end();
	/* relaxed: it only serves to detect misuse. */
	store_relaxed(&t->join, JOIN_FREED);
	san_forget(t, sizeof *t);
	if (pool == mine) {
		t->value = pool->local;
		pool->local = t;
		return;
	}
	weft__task_pool_return(pool, t);
}

#endif
