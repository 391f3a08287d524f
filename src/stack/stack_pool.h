/* SPDX-License-Identifier: MIT */
/*
 * A pool of stacks of one size, and its lists of free slots. stack.c allocates from it, and
 * stack_trim.c gives back.
 */
#ifndef WEFT_SRC_STACK_STACK_POOL_H
#define WEFT_SRC_STACK_STACK_POOL_H

#include "arena.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/lock.h"

#include <stdbool.h>
#include <stddef.h>

#define WEFT__STACK_BUCKETS 64

/* A list of free slots. */
struct slot_list {
	struct weft__list list; /* first: the slot freed last */
	size_t count;
};

struct pool {
	/* Immutable. */
	size_t slot_bytes;
	size_t guard_bytes;
	size_t keep;       /* free slots to keep; at least `hot` */
	size_t hot;        /* the number of dirty slots that keep their memory */
	struct pool *next; /* in its bucket */
	/* Under the lock. */
	struct weft__lock lock;
	struct slot_list dirty;
	struct slot_list clean;
	struct weft__list arenas;
	struct weft__list filling; /* arenas with unready slots */
	size_t arena_count;
	size_t idle; /* arenas without a used slot */
	size_t used;
	size_t growing; /* threads inside pool_grow_locked(), without the lock */
	size_t grown;   /* how often pool_grow_locked() has made slots */
};

/* The pools, by size. The pools of one bucket are linked by next. See stack_pool.c. */
extern _Atomic(struct pool *) weft__stack_pools[WEFT__STACK_BUCKETS]
	__attribute__((visibility("hidden")));

/* Returns the pool for such slots, and makes it if it does not exist. Returns NULL if there is no
 * memory. */
struct pool *weft__pool_get(size_t slot_bytes, size_t guard_bytes);

/* Takes a free slot and counts it as used. Returns NULL if the system refuses. */
struct slot *weft__pool_take(struct pool *pool);

/* Puts a used slot back. Its memory is kept. Returns true if the pool now has so many dirty slots
 * that some should be discarded. */
bool weft__pool_put(struct slot *slot);

/* Gives back the memory of one batch of dirty slots, those freed longest ago first. At least `left`
 * dirty slots remain. Returns whether there were any. */
bool weft__pool_discard_batch(struct pool *pool, size_t left);

/* Takes the arena out of the pool. None of its slots may be in use. The caller unmaps it. */
void weft__pool_detach_locked(struct pool *pool, struct arena *arena);

/* Unmaps detached arenas. The list is empty afterwards. */
void weft__arenas_unmap(struct weft__list *doomed);

static inline struct slot *slot_of_link(struct weft__link *link)
{
	return container_of(link, struct slot, link);
}

static inline struct arena *arena_of_link(struct weft__link *link)
{
	return link ? container_of(link, struct arena, link) : NULL;
}

static inline struct arena *arena_of_fill_link(struct weft__link *link)
{
	return link ? container_of(link, struct arena, fill) : NULL;
}

static inline void slot_push(struct slot_list *list, struct slot *slot)
{
	weft__list_push_first(&list->list, &slot->link);
	list->count++;
}

static inline void slot_remove(struct slot_list *list, struct slot *slot)
{
	weft__list_remove(&slot->link);
	list->count--;
}

/* The list that holds free slots in this state. */
static inline struct slot_list *list_of(struct pool *pool, enum slot_state state)
{
	return state == SLOT_DIRTY ? &pool->dirty : &pool->clean;
}

/* Count one more, or one less, of the arena's slots as used. */
static inline void arena_hold_locked(struct arena *arena)
{
	if (arena->used++ == 0)
		arena->pool->idle--;
}

static inline void arena_release_locked(struct arena *arena)
{
	if (--arena->used == 0)
		arena->pool->idle++;
}

#endif
