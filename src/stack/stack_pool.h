/* SPDX-License-Identifier: MIT */
/*
 * A pool of stacks, and its lists of free slots. stack.c allocates from it, and stack_trim.c gives
 * back.
 */
#ifndef WEFT_SRC_STACK_STACK_POOL_H
#define WEFT_SRC_STACK_STACK_POOL_H

#include "arena.h"
#include "src/base/atomic.h"
#include "src/base/lock.h"

#include <unistd.h>

#define WEFT__STACK_BUCKETS 64

struct list {
	struct slot *head, *tail;
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
	struct list dirty; /* head: the slot freed last */
	struct list clean;
	struct arena *arenas;
	struct arena *filling; /* arenas with unready slots; linked by fill_next */
	size_t arena_count;
	size_t idle; /* arenas without a used slot */
	size_t used;
	size_t growing; /* threads inside pool_grow_locked(), without the lock */
	size_t grown;   /* how often pool_grow_locked() has made slots */
};

/* The pools, by size. The pools of one bucket are linked by next. See stack.c. */
extern _Atomic(struct pool *) weft__stack_pools[WEFT__STACK_BUCKETS]
	__attribute__((visibility("hidden")));

/* Takes the arena out of the pool. None of its slots may be in use. The caller unmaps it. */
void weft__pool_detach_locked(struct pool *pool, struct arena *arena);

/* Unmaps detached arenas, which are linked by next. */
void weft__arenas_unmap(struct arena *doomed);

/* Gives back the memory of one batch of dirty slots, those freed longest ago first. At least `left`
 * dirty slots remain. Returns whether there were any. */
bool weft__pool_discard_batch(struct pool *pool, size_t left);

static inline void list_push(struct list *list, struct slot *slot)
{
	slot->prev = NULL;
	slot->next = list->head;
	if (list->head)
		list->head->prev = slot;
	else
		list->tail = slot;
	list->head = slot;
	list->count++;
}

static inline void list_remove(struct list *list, struct slot *slot)
{
	if (slot->prev)
		slot->prev->next = slot->next;
	else
		list->head = slot->next;
	if (slot->next)
		slot->next->prev = slot->prev;
	else
		list->tail = slot->prev;
	slot->prev = NULL;
	slot->next = NULL;
	list->count--;
}

/* The list that holds free slots in this state. */
static inline struct list *list_of(struct pool *pool, enum slot_state state)
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

/* Takes a slot out of a free list and counts it as used. */
static inline void pool_take_locked(struct pool *pool, struct slot *slot, enum slot_state state)
{
	list_remove(list_of(pool, slot->state), slot);
	slot->state = state;
	arena_hold_locked(slot->arena);
	pool->used++;
}

/* Puts a slot that counts as used into a free list. If that detaches the slot's arena, returns the
 * arena, and the caller must unmap it. Otherwise returns NULL. */
static inline struct arena *pool_put_locked(struct pool *pool, struct slot *slot,
					    enum slot_state state)
{
	struct arena *arena = slot->arena;

	slot->state = state;
	list_push(list_of(pool, state), slot);
	arena_release_locked(arena);
	pool->used--;
	if (arena->used > 0)
		return NULL;
	if (pool->dirty.count + pool->clean.count - arena->ready < pool->keep)
		return NULL;
	weft__pool_detach_locked(pool, arena);
	return arena;
}

static inline size_t page_size(void)
{
	/* relaxed: every thread gets the same answer */
	static _Atomic size_t known;
	size_t size = load_relaxed(&known);

	if (__builtin_expect(size == 0, 0)) {
		size = (size_t)sysconf(_SC_PAGESIZE);
		store_relaxed(&known, size);
	}
	return size;
}

#endif
