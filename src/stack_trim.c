/* SPDX-License-Identifier: MIT */
/*
 * What pools of stacks give back, and when.
 *
 * There are two bounds:
 *   - `keep`, on free slots, which cost addresses, page tables and guards: an arena whose last used
 *     slot is freed is unmapped, provided that `keep` free slots remain without it;
 *   - `hot`, on dirty slots, which may cost as much as their stacks are large. The others lose
 *     their memory, those freed longest ago first, a batch at a time.
 * When dirty slots lose their memory depends on who freed them:
 *   - weft__stack_free(), whose caller will perhaps never be heard of again, does it itself: as
 *     soon as there are more than `hot` by a sixteenth of those in use. So a burst's memory is gone
 *     when its last stack is freed, and a load that varies a little gives nothing back.
 *   - weft__stack_free_lazily() leaves it for later: a runtime calls weft__stack_discard_some() when
 *     its time has come (depot.h). To unmap an arena costs no more where its slots still have their
 *     memory than to discard it alone.
 *   - The end of the last runtime leaves no dirty slot.
 * Where the system refuses more, every arena that has no used slot, of whichever pool, is unmapped
 * before giving up.
 *
 * A slot is discarded at most once for each time it was freed. System calls are made without the
 * lock: the slots to be discarded are in no list meanwhile and count as used, which keeps their
 * arena.
 *
 * errno is kept, as in stack.c.
 *
 * Rejected: giving back by age (needs a clock and somebody to look at it: the scheduler has both,
 * and a depot above these pools, see depot.h).
 */
#include "alloc.h"
#include "depot.h"
#include "process_locks.h"
#include "sanitizer.h"
#include "spare.h"
#include "stack.h"
#include "stack_pool.h"

/* What most tasks use, header included; instrumented frames are larger. */
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

/* Gives back the memory of a batch of some pool's dirty slots, of which `hot`, or none, remain.
 * Whether there were any. */
static bool discard_batch(bool all)
{
	for (size_t i = 0; i < WEFT__STACK_BUCKETS; i++) {
		/* acquire: as in pool_get() (stack.c) */
		struct pool *pool =
			atomic_load_explicit(&weft__stack_pools[i], memory_order_acquire);

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

	/* One at a time: who comes meanwhile would find nothing left to free that is not freed
	 * yet. */
	weft__lock_process(WEFT__LOCK_TRIM);
	weft__spares_drop();
	weft__depots_empty();

	for (size_t i = 0; i < WEFT__STACK_BUCKETS; i++) {
		/* acquire: as in pool_get() (stack.c) */
		struct pool *pool =
			atomic_load_explicit(&weft__stack_pools[i], memory_order_acquire);

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
 * The library is unloaded, or the process ends. The shared library stays loaded (-z nodelete). A
 * plugin that was linked with the static one takes its copy along, and what that keeps would be
 * lost. Stacks that are in use stay mapped: at the end of a process other threads may run on them.
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
