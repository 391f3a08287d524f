/* SPDX-License-Identifier: MIT */
/* A mapping cut into stack slots, seen by its pool (stack_pool.h) and by the code that maps and guards
 * it (arena.c). */
#ifndef WEFT_SRC_ARENA_H
#define WEFT_SRC_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

#define ARENA_SLOTS_MAX 256
#define ARENA_BATCH     64 /* slots in one system call */
#define ARENA_BYTES_MAX ((size_t)64 << 20)

enum slot_state {
	SLOT_UNREADY, /* in no list, without guard, never used */
	SLOT_CLEAN,   /* in the pool's clean list: takes no memory */
	SLOT_DIRTY,   /* in the pool's dirty list */
	SLOT_USED,    /* in no list: its allocator's */
	SLOT_DISCARD, /* in no list: its memory is being given back */
};

/* Under the pool's lock. */
struct slot {
	struct slot *prev, *next; /* in a list of the pool; otherwise NULL */
	struct arena *arena;      /* immutable */
	enum slot_state state;
};

struct arena {
	/* Immutable. */
	struct pool *pool;
	char *base;
	size_t slot_bytes;
	size_t guard_bytes; /* of each slot's slot_bytes, the lowest; 0: no guards */
	uint32_t slots;
	/* Under the pool's lock. */
	struct arena *prev, *next; /* all arenas of the pool: a dump can walk them */
	struct arena *fill_next;   /* in the pool's list of those that have unready slots */
	/* slots [0, ready) have their guard, the others were never used; who fills it reads it
	 * without the lock */
	uint32_t ready;
	uint32_t guard_mappings; /* how many guards are mappings of their own; by who fills it */
	uint32_t used; /* slots that are SLOT_USED or SLOT_DISCARD; one more while it is filled */
	struct slot slot[];
};

/*
 * Maps an arena of `slots` slots, at most ARENA_SLOTS_MAX, or fewer where they are large or the
 * system refuses, down to one. No slot is ready. NULL: not even one could be had.
 */
struct arena *weft__arena_map(struct pool *pool, size_t slot_bytes, size_t guard_bytes,
			      size_t slots);

/* Unmaps it. It must be in no list. */
void weft__arena_unmap(struct arena *arena);

/* Guards up to `count` slots, at most ARENA_BATCH, from the first unready one on. Returns how many
 * it did, 0 if the system refuses; they are for the caller to count as ready. Where guards have had
 * their share of the mappings a slot has none (arena.c). By one thread at a time. */
uint32_t weft__arena_make_ready(struct arena *arena, uint32_t count);

/* Gives the memory of slots of one pool, 1 to ARENA_BATCH, back to the system, except for the
 * uppermost `kept` bytes of each, whole pages. Their guards stay. */
void weft__arena_discard(struct slot *const *slots, uint32_t count, size_t kept);

static inline char *arena_slot_base(const struct arena *arena, uint32_t index)
{
	return arena->base + (size_t)index * arena->slot_bytes;
}

#endif
