/* SPDX-License-Identifier: MIT */
/*
 * Pools of stacks give memory back. This file decides what they give back, and when.
 *
 * There are two bounds:
 *
 *   keep   on free slots, which cost addresses, page tables and guards. When the last used slot of
 *          an arena is freed, the arena is unmapped if `keep` free slots remain without it.
 *   hot    on dirty slots, which may cost as much as their stacks are large. The other dirty slots
 *          lose their memory, a batch at a time, those freed longest ago first.
 *
 * When dirty slots lose their memory depends on the function that freed them:
 *
 *  1. weft__stack_free() gives memory back itself, because its caller may never call again. It does
 *     so once the dirty slots exceed `hot` by a sixteenth of the used slots. So a burst's memory is
 *     gone when its last stack is freed, and a load that varies a little gives nothing back.
 *  2. weft__stack_free_lazily() leaves it for later. A runtime calls weft__stack_discard_some()
 *     when the time has come (depot.h). An arena whose slots still have their memory costs no more
 *     to unmap than its memory costs to discard.
 *  3. The end of the last runtime leaves no dirty slot.
 *
 * If the system refuses more memory, every cache is emptied (stack_trim.h), and every arena without
 * a used slot is unmapped, in all pools. If that does not help, free slots of the other arenas are
 * unmapped too (stack_holes.c). Only then does an allocation fail.
 *
 * A slot is discarded at most once for each time it was freed. System calls are made without the
 * lock. The slots to discard are in no list meanwhile and count as used, which keeps their arena.
 *
 * errno is kept, as in stack_pool.c.
 *
 * Rejected: giving back by age. It needs a clock and a thread that looks at it. The scheduler has
 * both, and a depot above these pools: see depot.h.
 */
#include "stack_trim.h"

#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/process_locks.h"
#include "stack_pool.h"

/* Every cache. Under WEFT__LOCK_TRIM. */
static struct stack_cache *caches;

/* Gives back the memory of a batch of dirty slots of some pool. The pool keeps `hot` of them, or
 * none with `all`. Returns whether there were any. */
static bool discard_batch(bool all)
{
	for (size_t i = 0; i < WEFT__STACK_BUCKETS; i++) {
		/* acquire: as in weft__pool_get() (stack_pool.c) */
		struct pool *pool = load_acquire(&weft__stack_pools[i]);

		for (; pool; pool = pool->next) {
			if (weft__pool_discard_batch(pool, all ? 0 : pool->hot))
				return true;
		}
	}
	return false;
}

bool weft__stack_discard_some(void)
{
	return discard_batch(false);
}

void weft__stack_discard_all(void)
{
	while (discard_batch(true))
		;
}

void weft__stack_cache_add(struct stack_cache *cache)
{
	weft__lock_process(WEFT__LOCK_TRIM);
	if (!cache->added) {
		cache->added = true;
		cache->next = caches;
		caches = cache;
	}
	weft__unlock_process(WEFT__LOCK_TRIM);
}

/* Stays: to empty a cache is to free memory. */
static WEFT__STAYS void empty_caches_locked(void)
{
	for (struct stack_cache *cache = caches; cache; cache = cache->next)
		cache->empty();
}

void weft__stack_trim(void)
{
	struct weft__list doomed;

	/* One thread at a time. A second thread would find nothing left to free, although the first
	 * one has not freed it yet. */
	weft__list_init(&doomed);
	weft__lock_process(WEFT__LOCK_TRIM);
	empty_caches_locked();
	for (size_t i = 0; i < WEFT__STACK_BUCKETS; i++) {
		/* acquire: as in weft__pool_get() (stack_pool.c) */
		struct pool *pool = load_acquire(&weft__stack_pools[i]);

		for (; pool; pool = pool->next) {
			struct weft__link *link, *next;

			weft__lock(&pool->lock);
			for (link = weft__list_first(&pool->arenas); link && pool->idle > 0;
			     link = next) {
				struct arena *arena = arena_of_link(link);

				next = weft__list_next(&pool->arenas, link);
				if (arena->used > 0)
					continue;
				weft__pool_detach_locked(pool, arena);
				weft__list_push_first(&doomed, link);
			}
			weft__unlock(&pool->lock);
		}
	}
	weft__arenas_unmap(&doomed);
	weft__stack_discard_all();
	weft__unlock_process(WEFT__LOCK_TRIM);
}

/*
 * Runs when the library is unloaded or the process ends. The shared library stays loaded (-z
 * nodelete). A plugin that was linked with the static library takes its own copy along, and the
 * memory that this copy keeps would leak. Stacks in use stay mapped, because other threads may
 * still run on them at the end of a process.
 */
__attribute__((destructor)) static void give_all_back(void)
{
	weft__stack_trim();
}
