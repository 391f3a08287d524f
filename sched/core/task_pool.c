/* SPDX-License-Identifier: MIT */
#include "task_pool.h"

#include "src/sanitizer.h"
#include "src/stack.h"

#include <stdlib.h>

#define SLAB_SIZE ((size_t)64 << 10)

struct task_slab {
	struct task_pool *pool; /* immutable */
	struct task_slab *next;
};

#define SLAB_BLOCKS ((SLAB_SIZE - sizeof(struct task_slab)) / sizeof(struct weft_task))

static struct task_slab *slab_of(struct task *t)
{
	return (struct task_slab *)((uintptr_t)t & ~(uintptr_t)(SLAB_SIZE - 1));
}

static struct task *slab_block(struct task_slab *slab, size_t i)
{
	return task_of_handle((struct weft_task *)(slab + 1) + i);
}

static bool add_slab(struct task_pool *pool)
{
	struct task_slab *slab = aligned_alloc(SLAB_SIZE, SLAB_SIZE);
	/* Stacks that nobody uses must not be the reason. */
	if (!slab) {
		weft__stack_trim();
		slab = aligned_alloc(SLAB_SIZE, SLAB_SIZE);
	}
	if (!slab)
		return false;
	slab->pool = pool;
	slab->next = pool->slabs;
	pool->slabs = slab;

	for (size_t i = SLAB_BLOCKS; i-- > 0;) {
		struct task *t = slab_block(slab, i);
		t->cold = NULL;
		t->value = pool->local;
		pool->local = t;
	}
	return true;
}

void weft__task_pool_init(struct task_pool *pool)
{
	pool->local = NULL;
	pool->slabs = NULL;
	atomic_init(&pool->returned, NULL);
}

void weft__task_pool_fini(struct task_pool *pool)
{
	while (pool->slabs) {
		struct task_slab *slab = pool->slabs;
		pool->slabs = slab->next;
		for (size_t i = 0; i < SLAB_BLOCKS; i++)
			free(slab_block(slab, i)->cold);
		free(slab);
	}
}

struct task *weft__task_pool_alloc(struct task_pool *pool)
{
	if (!pool->local) {
		/* acquire: sees the links, and the last use of each block, that its freer
		 * released. */
		pool->local = atomic_exchange_explicit(&pool->returned, NULL, memory_order_acquire);
		if (!pool->local && !add_slab(pool))
			return NULL;
	}
	struct task *t = pool->local;
	pool->local = t->value;
	return t;
}

void weft__task_pool_free(struct task_pool *mine, struct task *t)
{
	struct task_pool *pool = slab_of(t)->pool;

	/* Whoever detaches a task that has ended is not ordered after it. */
	san_ignore_begin();
	free(t->cold);
	san_ignore_end();
	t->cold = NULL;
	san_forget(t, sizeof *t);
	if (pool == mine) {
		t->value = pool->local;
		pool->local = t;
		return;
	}
	struct task *head = atomic_load_explicit(&pool->returned, memory_order_relaxed);
	do {
		t->value = head;
		/* release: pairs with the exchange in alloc. */
	} while (!atomic_compare_exchange_weak_explicit(
		&pool->returned, &head, t, memory_order_release, memory_order_relaxed));
}
