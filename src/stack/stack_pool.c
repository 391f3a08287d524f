/* SPDX-License-Identifier: MIT */
/*
 * Pools of stacks. There is one pool for each (size, guard). It is found through a table that only
 * grows.
 *
 * A free slot is in one of two states:
 *
 *   dirty   its memory is kept, and is likely to be in some cache
 *   clean   it was never used, or its memory has been given back
 *
 * Allocation takes the dirty slot that was freed last. If there is none it takes a clean slot. If
 * there is none of these either, it grows the pool. stack_trim.c says what is given back, and when.
 *
 * An arena is mapped only when no slot is free. It is unmapped only when more than `keep` slots are
 * free. So at least `keep` calls lie between the two, and share their cost.
 *
 * System calls are made without the lock. Before a thread makes slots ready, it takes their arena
 * off the list of arenas with unready slots. So no other thread fills the arena. The arena counts
 * one more used slot meanwhile.
 *
 * errno is kept. The caller may be the scheduler, working on behalf of a coroutine that owns errno.
 *
 * Rejected: one free list inside the stacks themselves. Freeing a stack would touch a cold
 * neighbour, and nothing could ever be unmapped.
 */
#include "stack_pool.h"

#include "src/base/alloc.h"
#include "src/base/process_locks.h"
#include "src/base/sanitizer.h"

#include <sched.h>

#define KEEP_SLOTS  1024
#define KEEP_BYTES  ((size_t)256 << 20) /* of addresses */
#define HOT_SLOTS   64
#define HOT_BYTES   ((size_t)1 << 20) /* if the stacks are used up entirely */
#define LAZY_PART   16                /* dirty slots beyond `hot`: one per so many used slots */
#define LAZY_SLOTS  1024              /* the most of these */
#define SLOTS_MIN   64                /* of a pool's first arenas */
#define FIRST_POOLS 8
/* How often a refused thread checks whether other threads have got something. There is a bound
 * because in the child of a fork() those threads do not exist. */
#define GROWER_LOOKS 10000

/* Pools are added under WEFT__LOCK_STACK_POOLS and never removed, so a reader needs no lock to find
 * them. The first pools are part of the library. Few programs use more sizes, and a plugin that is
 * unloaded with its own copy of the library leaks no pool. */
_Atomic(struct pool *) weft__stack_pools[WEFT__STACK_BUCKETS];
static struct pool first_pools[FIRST_POOLS]; /* under WEFT__LOCK_STACK_POOLS until added */
static unsigned first_pools_used;            /* under WEFT__LOCK_STACK_POOLS */

static struct pool *bucket_find(struct pool *pool, size_t slot_bytes, size_t guard_bytes)
{
	while (pool && (pool->slot_bytes != slot_bytes || pool->guard_bytes != guard_bytes))
		pool = pool->next;
	return pool;
}

static size_t at_most(size_t n, size_t bound)
{
	return n < bound ? n : bound;
}

/* Memory for another pool, all 0, or NULL if there is none. Under WEFT__LOCK_STACK_POOLS. */
static struct pool *pool_new_locked(void)
{
	struct pool *pool;

	if (first_pools_used < FIRST_POOLS)
		return &first_pools[first_pools_used++];
	san_ignore_begin();
	pool = weft__calloc(1, sizeof(*pool));
	san_ignore_end();
	return pool;
}

/* Around a fork(), under WEFT__LOCK_STACK_POOLS (process_locks.h). The child loses what another
 * thread was mapping or giving back at the fork(). That is address space, and the memory of at most
 * one batch of stacks for each such thread. */
static void lock_each(void)
{
	for (size_t i = 0; i < WEFT__STACK_BUCKETS; i++) {
		/* relaxed, here and below: buckets change only under the lock that the caller
		 * holds */
		struct pool *pool = load_relaxed(&weft__stack_pools[i]);

		for (; pool; pool = pool->next)
			weft__lock(&pool->lock);
	}
}

static void unlock_each(bool in_child)
{
	for (size_t i = 0; i < WEFT__STACK_BUCKETS; i++) {
		struct pool *pool = load_relaxed(&weft__stack_pools[i]);

		for (; pool; pool = pool->next) {
			if (in_child)
				pool->growing = 0; /* those threads do not exist in the child */
			weft__unlock(&pool->lock);
		}
	}
}

struct pool *weft__pool_get(size_t slot_bytes, size_t guard_bytes)
{
	_Atomic(struct pool *) *bucket =
		&weft__stack_pools[(slot_bytes >> 12) % WEFT__STACK_BUCKETS];
	struct pool *pool;

	/* acquire: sees the pool's fields and next. Pairs with the release below. */
	pool = bucket_find(load_acquire(bucket), slot_bytes, guard_bytes);
	if (pool)
		return pool;

	weft__lock_process(WEFT__LOCK_STACK_POOLS);
	weft__process_lock_covers(WEFT__LOCK_STACK_POOLS, lock_each, unlock_each);
	/* relaxed: the bucket changes only under this lock */
	pool = bucket_find(load_relaxed(bucket), slot_bytes, guard_bytes);
	if (!pool) {
		pool = pool_new_locked();
		if (pool) {
			WEFT__SET_RANK(&pool->lock, STACK_POOL);
			pool->slot_bytes = slot_bytes;
			pool->guard_bytes = guard_bytes;
			pool->keep = at_most(KEEP_BYTES / (slot_bytes - guard_bytes), KEEP_SLOTS);
			pool->hot = at_most(HOT_BYTES / (slot_bytes - guard_bytes), HOT_SLOTS);
			weft__list_init(&pool->dirty.list);
			weft__list_init(&pool->clean.list);
			weft__list_init(&pool->arenas);
			weft__list_init(&pool->filling);
			pool->next = load_relaxed(bucket);
			/* release: publishes the pool's fields. Pairs with the acquire above. */
			store_release(bucket, pool);
		}
	}
	weft__unlock_process(WEFT__LOCK_STACK_POOLS);
	return pool;
}

static void pool_attach_locked(struct pool *pool, struct arena *arena)
{
	weft__list_push_first(&pool->arenas, &arena->link);
	pool->arena_count++;
	pool->idle++;
}

/*
 * Makes clean slots when no slot is free. It makes as many as the pool has in use: at least one, at
 * most a batch. A new arena has as many slots as are in use, SLOTS_MIN to ARENA_SLOTS_MAX. The lock
 * is released meanwhile, because the calls take microseconds a slot. Other threads may make slots
 * of their own.
 */
static bool pool_grow_locked(struct pool *pool)
{
	struct arena *arena = arena_of_fill_link(weft__list_first(&pool->filling));
	size_t used = pool->used;
	uint32_t first, made;

	if (arena) {
		weft__list_remove(&arena->fill);
		arena_hold_locked(arena);
	}
	pool->growing++;
	weft__unlock(&pool->lock);
	bool fresh = !arena;
	if (fresh)
		arena = weft__arena_map(pool, pool->slot_bytes, pool->guard_bytes,
					used < SLOTS_MIN         ? SLOTS_MIN
					: used < ARENA_SLOTS_MAX ? used
								 : ARENA_SLOTS_MAX);
	made = !arena ? 0
		      : weft__arena_make_ready(arena, used == 0            ? 1
						      : used < ARENA_BATCH ? (uint32_t)used
									   : ARENA_BATCH);
	weft__lock(&pool->lock);
	pool->growing--;
	if (!arena)
		return false;
	pool->grown += made > 0;
	if (fresh) {
		pool_attach_locked(pool, arena);
		arena_hold_locked(arena);
	}
	first = arena->ready;
	arena->ready += made;
	/* Lower addresses are used first. */
	for (uint32_t i = first + made; i-- > first;) {
		arena->slot[i].state = SLOT_CLEAN;
		slot_push(&pool->clean, &arena->slot[i]);
	}
	if (arena->ready < arena->slots)
		weft__list_push_first(&pool->filling, &arena->fill);
	arena_release_locked(arena);
	return made > 0;
}

static inline bool pool_has_free_locked(const struct pool *pool)
{
	return pool->dirty.count > 0 || pool->clean.count > 0;
}

/* For a thread that the system has refused. The system may have given its last memory to other
 * threads, and they are about to share it. Returns whether some thread has made or freed slots.
 * @before: the earlier value of .grown. */
static bool others_grow_locked(struct pool *pool, size_t before)
{
	for (unsigned looks = 0; pool->growing > 0 && looks < GROWER_LOOKS; looks++) {
		if (pool->grown != before || pool_has_free_locked(pool))
			break;
		weft__unlock(&pool->lock);
		sched_yield();
		weft__lock(&pool->lock);
	}
	return pool->grown != before || pool_has_free_locked(pool);
}

/* Takes a slot out of a free list and counts it as used. */
static inline void pool_take_locked(struct pool *pool, struct slot *slot, enum slot_state state)
{
	slot_remove(list_of(pool, slot->state), slot);
	slot->state = state;
	arena_hold_locked(slot->arena);
	pool->used++;
}

struct slot *weft__pool_take(struct pool *pool)
{
	struct slot *slot = NULL;
	bool available = true;

	weft__lock(&pool->lock);
	/* Meanwhile other threads may take the slots that were made, or free some. */
	while (available && !pool_has_free_locked(pool)) {
		size_t before = pool->grown;
		int saved = weft__errno();

		san_ignore_begin();
		available = pool_grow_locked(pool) || others_grow_locked(pool, before);
		san_ignore_end();
		weft__set_errno(saved);
	}
	if (pool_has_free_locked(pool)) {
		struct slot_list *list = pool->dirty.count > 0 ? &pool->dirty : &pool->clean;

		slot = slot_of_link(weft__list_first(&list->list));
		pool_take_locked(pool, slot, SLOT_USED);
	}
	weft__unlock(&pool->lock);
	return slot;
}

void weft__pool_detach_locked(struct pool *pool, struct arena *arena)
{
	for (uint32_t i = 0; i < arena->ready; i++) {
		if (arena->slot[i].state != SLOT_HOLE)
			slot_remove(list_of(pool, arena->slot[i].state), &arena->slot[i]);
	}
	weft__list_remove(&arena->link);
	if (weft__link_is_in_list(&arena->fill))
		weft__list_remove(&arena->fill);
	pool->arena_count--;
	pool->idle--;
}

void weft__arenas_unmap(struct weft__list *doomed)
{
	struct arena *arena;
	int saved = weft__errno();

	san_ignore_begin();
	while ((arena = arena_of_link(weft__list_first(doomed)))) {
		weft__list_remove(&arena->link);
		weft__arena_unmap(arena);
	}
	san_ignore_end();
	weft__set_errno(saved);
}

/* Puts a slot that counts as used into a free list. If that detaches the slot's arena, adds the
 * arena to the list of those that the caller must unmap. */
static inline void pool_put_locked(struct pool *pool, struct slot *slot, enum slot_state state,
				   struct weft__list *doomed)
{
	struct arena *arena = slot->arena;

	slot->state = state;
	slot_push(list_of(pool, state), slot);
	arena_release_locked(arena);
	pool->used--;
	if (arena->used > 0)
		return;
	/* An arena with holes is of little use. */
	if (arena->holes == 0 && pool->dirty.count + pool->clean.count - arena->ready < pool->keep)
		return;
	weft__pool_detach_locked(pool, arena);
	weft__list_push_first(doomed, &arena->link);
}

bool weft__pool_put(struct slot *slot)
{
	struct pool *pool = slot->arena->pool;
	struct weft__list doomed;
	bool discard;

	weft__list_init(&doomed);
	weft__lock(&pool->lock);
	pool_put_locked(pool, slot, SLOT_DIRTY, &doomed);
	discard = pool->dirty.count > pool->hot + at_most(pool->used / LAZY_PART, LAZY_SLOTS);
	weft__unlock(&pool->lock);
	if (!weft__list_is_empty(&doomed))
		weft__arenas_unmap(&doomed);
	return discard;
}

bool weft__pool_discard_batch(struct pool *pool, size_t left)
{
	struct slot *batch[ARENA_BATCH];
	struct weft__list doomed;
	size_t count = 0;
	int saved = weft__errno();

	weft__lock(&pool->lock);
	for (; count < ARENA_BATCH && pool->dirty.count > left; count++) {
		batch[count] = slot_of_link(weft__list_last(&pool->dirty.list));
		pool_take_locked(pool, batch[count], SLOT_DISCARD);
	}
	weft__unlock(&pool->lock);

	if (count == 0)
		return false;
	weft__arena_discard(batch, (uint32_t)count, 0);
	weft__set_errno(saved);

	weft__list_init(&doomed);
	weft__lock(&pool->lock);
	for (size_t i = 0; i < count; i++)
		pool_put_locked(pool, batch[i], SLOT_CLEAN, &doomed);
	weft__unlock(&pool->lock);
	weft__arenas_unmap(&doomed);
	return true;
}
