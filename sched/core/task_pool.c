/* SPDX-License-Identifier: MIT */
/* Memory for task control blocks (task_pool.h). */
#include "task_pool.h"

#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/lockcheck.h"
#include "src/base/sanitizer.h"
#include "src/stack/stack.h"
#include "src/stack/stack_holes.h"
#include "src/stack/stack_trim.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SLAB_SIZE   ((size_t)WEFT__TASK_SLAB_SIZE)
#define CHUNK_SIZE  ((size_t)2 << 20) /* the size of a huge page */
#define SLAB_BLOCKS ((SLAB_SIZE - sizeof(struct task_slab)) / sizeof(struct task))

static struct task *slab_block(struct task_slab *slab, size_t i)
{
	return (struct task *)(slab + 1) + i;
}

#if !WEFT__ASAN

/* Returns a chunk, which is a huge page or as many small ones; NULL: no memory. It preserves errno,
 * which belongs to the task: its spawn may still succeed. */
static WEFT__NEVER_INLINE char *new_chunk(void)
{
	WEFT__MAPS();
	int saved_errno = errno;
	char *low = mmap(NULL, 2 * CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	char *chunk = NULL;

	if (low != MAP_FAILED) {
		chunk = low + (-(uintptr_t)low & (CHUNK_SIZE - 1));
		if (chunk > low)
			munmap(low, (size_t)(chunk - low));
		munmap(chunk + CHUNK_SIZE, (size_t)(low + CHUNK_SIZE - chunk));
		madvise(chunk, CHUNK_SIZE, MADV_HUGEPAGE);
	}
	errno = saved_errno;
	return chunk;
}

/* Returns the next slab of the pool's newest chunk, or the first one of a new chunk; NULL: no
 * memory. */
static struct task_slab *slab_of_chunk(struct task_pool *pool)
{
	if (pool->chunk_left == 0) {
		pool->chunk = new_chunk();
		if (!pool->chunk)
			return NULL;
		pool->chunk_left = CHUNK_SIZE / SLAB_SIZE;
	}
	struct task_slab *slab = (struct task_slab *)pool->chunk;
	slab->chunk = pool->chunk_left == CHUNK_SIZE / SLAB_SIZE ? CHUNK_FIRST : CHUNK_OTHER;
	pool->chunk += SLAB_SIZE;
	pool->chunk_left--;
	return slab;
}

#else

/* The leak detector follows pointers in heap memory only, so there are no chunks. */
static struct task_slab *slab_of_chunk(struct task_pool *pool)
{
	(void)pool;
	return NULL;
}

#endif

static struct task_slab *slab_of_heap(void)
{
	struct task_slab *slab = weft__aligned_alloc(SLAB_SIZE, SLAB_SIZE);

	/* Unused stacks must not be the reason for a failure. */
	if (!slab) {
		weft__stack_trim();
		slab = weft__aligned_alloc(SLAB_SIZE, SLAB_SIZE);
	}
	if (!slab && weft__stack_make_holes(SLAB_SIZE))
		slab = weft__aligned_alloc(SLAB_SIZE, SLAB_SIZE);
	if (slab)
		slab->chunk = CHUNK_NONE;
	return slab;
}

static bool add_slab(struct task_pool *pool)
{
	struct task_slab *slab = NULL;

	if (pool->heap_slabs >= CHUNK_SIZE / SLAB_SIZE)
		slab = slab_of_chunk(pool);
	if (!slab) {
		slab = slab_of_heap();
		if (!slab)
			return false;
		pool->heap_slabs++;
	}
	slab->pool = pool;
	slab->next = pool->slabs;
	pool->slabs = slab;

	for (size_t i = SLAB_BLOCKS; i-- > 0;) {
		struct task *t = slab_block(slab, i);
		task_set_cold(t, NULL);
		t->value = pool->local;
		pool->local = t;
	}
	return true;
}

void weft__task_pool_init(struct task_pool *pool)
{
	pool->local = NULL;
	pool->slabs = NULL;
	pool->chunk = NULL;
	pool->chunk_left = 0;
	pool->heap_slabs = 0;
	atomic_init(&pool->returned, NULL);
}

void weft__task_pool_fini(struct task_pool *pool)
{
	while (pool->slabs) {
		struct task_slab *slab = pool->slabs;
		pool->slabs = slab->next;
		for (size_t i = 0; i < SLAB_BLOCKS; i++)
			free(task_cold(slab_block(slab, i)));
		/* A chunk's first slab comes last: the later ones were put before it. */
		if (slab->chunk == CHUNK_FIRST)
			munmap(slab, CHUNK_SIZE);
		else if (slab->chunk == CHUNK_NONE)
			free(slab);
	}
}

static struct task_slab *slab_of(const struct task *t)
{
	return (struct task_slab *)((uintptr_t)t & ~(SLAB_SIZE - 1));
}

/* The first slab of the slab's chunk. */
static struct task_slab *chunk_of(const struct task_slab *slab)
{
	return (struct task_slab *)((uintptr_t)slab & ~(CHUNK_SIZE - 1));
}

/* Counts each slab's free blocks, and notes of each chunk whether a block is in use there. */
static void count_free(struct task_pool *pool, struct task *const lists[2])
{
	for (struct task_slab *slab = pool->slabs; slab; slab = slab->next) {
		slab->free = 0;
		slab->chunk_stays = false;
	}
	for (int i = 0; i < 2; i++) {
		for (struct task *t = lists[i]; t; t = t->value)
			slab_of(t)->free++;
	}
	for (struct task_slab *slab = pool->slabs; slab; slab = slab->next) {
		if (slab->chunk != CHUNK_NONE && slab->free < SLAB_BLOCKS)
			chunk_of(slab)->chunk_stays = true;
	}
}

static bool slab_goes(const struct task_slab *slab)
{
	return slab->chunk == CHUNK_NONE ? slab->free == SLAB_BLOCKS : !chunk_of(slab)->chunk_stays;
}

static void free_slab(struct task_pool *pool, struct task_slab *slab)
{
	WEFT__MAPS();
	if (slab->chunk == CHUNK_NONE) {
		pool->heap_slabs--;
		free(slab);
	} else if (slab->chunk == CHUNK_FIRST) {
		/* The later slabs of the chunk were put before it into the list, so they are out of
		 * it by now. */
		if (pool->chunk && pool->chunk - 1 >= (char *)slab &&
		    pool->chunk - 1 < (char *)slab + CHUNK_SIZE) {
			pool->chunk = NULL;
			pool->chunk_left = 0;
		}
		munmap(slab, CHUNK_SIZE);
	}
}

void weft__task_pool_trim(struct task_pool *pool)
{
	/* acquire: as in weft__task_pool_refill(). */
	struct task *lists[2] = {pool->local, exchange_acquire(&pool->returned, NULL)};

	san_ignore_begin();
	count_free(pool, lists);
	struct task *last = NULL;
	pool->local = NULL;
	for (int i = 0; i < 2; i++) {
		for (struct task *t = lists[i]; t; t = t->value) {
			if (slab_goes(slab_of(t)))
				continue;
			if (last)
				last->value = t;
			else
				pool->local = t;
			last = t;
		}
	}
	if (last)
		last->value = NULL;
	for (struct task_slab **at = &pool->slabs; *at;) {
		struct task_slab *slab = *at;
		if (slab_goes(slab)) {
			*at = slab->next;
			free_slab(pool, slab);
		} else {
			at = &slab->next;
		}
	}
	san_ignore_end();
}

static size_t list_length(const struct task *t)
{
	size_t length = 0;

	for (; t; t = t->value)
		length++;
	return length;
}

size_t weft__task_pool_used(struct task_pool *pool)
{
	size_t blocks = 0;

	for (struct task_slab *slab = pool->slabs; slab; slab = slab->next)
		blocks += SLAB_BLOCKS;
	/* acquire: as in weft__task_pool_refill(). The caller is ordered after all frees anyway. */
	return blocks - list_length(pool->local) - list_length(load_acquire(&pool->returned));
}

bool weft__task_pool_refill(struct task_pool *pool)
{
	/* acquire: sees the links, and the last use of each block, which the thread that freed it
	 * released. */
	pool->local = exchange_acquire(&pool->returned, NULL);
	return pool->local || add_slab(pool);
}

void weft__task_pool_return(struct task_pool *pool, struct task *t)
{
	struct task *head = load_relaxed(&pool->returned);
	do {
		t->value = head;
		/* release: pairs with the exchange in weft__task_pool_refill(). */
	} while (!cas_weak_release(&pool->returned, &head, t));
}
