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
 * If the system refuses more memory, every arena without a used slot is unmapped, in all pools.
 * Only then does an allocation fail.
 *
 * A slot is discarded at most once for each time it was freed. System calls are made without the
 * lock. The slots to discard are in no list meanwhile and count as used, which keeps their arena.
 *
 * errno is kept, as in stack.c.
 *
 * Rejected: giving back by age. It needs a clock and a thread that looks at it. The scheduler has
 * both, and a depot above these pools: see depot.h.
 */
#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/process_locks.h"
#include "src/base/sanitizer.h"
#include "src/depot.h"
#include "src/spare.h"
#include "stack.h"
#include "stack_pool.h"

/* The pages that most tasks use, header included. Instrumented frames are larger. */
#define COOL_PAGES (WEFT__ASAN || WEFT__TSAN ? 16 : 3)

void weft__pool_detach_locked(struct pool *pool, struct arena *arena)
{
	for (uint32_t i = 0; i < arena->ready; i++)
		list_remove(list_of(pool, arena->slot[i].state), &arena->slot[i]);
	if (arena->prev)
		arena->prev->next = arena->next;
	else
		pool->arenas = arena->next;
	if (arena->next)
		arena->next->prev = arena->prev;
	for (struct arena **link = &pool->filling; *link; link = &(*link)->fill_next) {
		if (*link == arena) {
			*link = arena->fill_next;
			break;
		}
	}
	pool->arena_count--;
	pool->idle--;
}

void weft__arenas_unmap(struct arena *doomed)
{
	int saved = weft__errno();

	san_ignore_begin();
	while (doomed) {
		struct arena *next = doomed->next;

		weft__arena_unmap(doomed);
		doomed = next;
	}
	san_ignore_end();
	weft__set_errno(saved);
}

bool weft__pool_discard_batch(struct pool *pool, size_t left)
{
	struct slot *batch[ARENA_BATCH];
	struct arena *doomed = NULL;
	size_t count = 0;
	int saved = weft__errno();

	weft__lock(&pool->lock);
	for (; count < ARENA_BATCH && pool->dirty.count > left; count++) {
		batch[count] = pool->dirty.tail;
		pool_take_locked(pool, batch[count], SLOT_DISCARD);
	}
	weft__unlock(&pool->lock);

	if (count == 0)
		return false;
	weft__arena_discard(batch, (uint32_t)count, 0);
	weft__set_errno(saved);

	weft__lock(&pool->lock);
	for (size_t i = 0; i < count; i++) {
		struct arena *arena = pool_put_locked(pool, batch[i], SLOT_CLEAN);

		if (arena) {
			arena->next = doomed;
			doomed = arena;
		}
	}
	weft__unlock(&pool->lock);
	weft__arenas_unmap(doomed);
	return true;
}

/* Gives back the memory of a batch of dirty slots of some pool. The pool keeps `hot` of them, or
 * none with `all`. Returns whether there were any. */
static bool discard_batch(bool all)
{
	for (size_t i = 0; i < WEFT__STACK_BUCKETS; i++) {
		/* acquire: as in pool_get() (stack.c) */
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

void weft__stack_trim(void)
{
	struct arena *doomed = NULL;

	/* One thread at a time. A second thread would find nothing left to free, although the first
	 * one has not freed it yet. */
	weft__lock_process(WEFT__LOCK_TRIM);
	weft__spares_drop();
	weft__depots_empty();

	for (size_t i = 0; i < WEFT__STACK_BUCKETS; i++) {
		/* acquire: as in pool_get() (stack.c) */
		struct pool *pool = load_acquire(&weft__stack_pools[i]);

		for (; pool; pool = pool->next) {
			struct arena *arena, *next;

			weft__lock(&pool->lock);
			for (arena = pool->arenas; arena && pool->idle > 0; arena = next) {
				next = arena->next;
				if (arena->used > 0)
					continue;
				weft__pool_detach_locked(pool, arena);
				arena->next = doomed;
				doomed = arena;
			}
			weft__unlock(&pool->lock);
		}
	}
	weft__arenas_unmap(doomed);
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

void weft__stack_cool(const struct stack *const *stacks, size_t count)
{
	struct slot *slots[ARENA_BATCH];
	size_t kept = COOL_PAGES * page_size();
	int saved = weft__errno();

	for (size_t i = 0; i < count; i++)
		slots[i] = &stacks[i]->arena->slot[stacks[i]->index];
	const struct arena *arena = slots[0]->arena;
	if (arena->slot_bytes - arena->guard_bytes > kept)
		weft__arena_discard(slots, (uint32_t)count, kept);
	weft__set_errno(saved);
}
