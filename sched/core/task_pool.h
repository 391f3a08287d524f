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
 * Blocks are cut from aligned slabs whose first bytes name the pool; slabs live as long as the
 * pool.
 */
#ifndef WEFT_CORE_TASK_POOL_H
#define WEFT_CORE_TASK_POOL_H

#include "task.h"

struct task_slab;

struct task_pool {
	/* owner only */
	struct task *local;      /* free blocks, linked by .value */
	struct task_slab *slabs; /* all of them */

	/* others push, the owner takes all */
	_Alignas(64) _Atomic(struct task *) returned;
};

void weft__task_pool_init(struct task_pool *pool);

/* Frees every block, in use or not. */
void weft__task_pool_fini(struct task_pool *pool);

/* A block with undefined content, except that it has no cold part; or NULL. */
struct task *weft__task_pool_alloc(struct task_pool *pool);

/* Gives a block, and its cold part, back to the pool that it came from; `mine` is the caller's own
 * pool, or NULL. */
void weft__task_pool_free(struct task_pool *mine, struct task *t);

#endif
