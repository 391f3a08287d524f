/* SPDX-License-Identifier: MIT */
/* A mapping cut into stack slots, seen by its pool (stack.c) and by the code that maps and guards
 * it (arena.c). */
#ifndef WEFT_SRC_ARENA_H
#define WEFT_SRC_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

#define ARENA_SLOTS_MAX 64
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
	uint32_t ready; /* slots [0, ready) have their guard; the others were never used */
	uint32_t used;  /* slots that are SLOT_USED or SLOT_DISCARD */
	struct slot slot[];
};

/*
 * Maps an arena of at most ARENA_SLOTS_MAX slots, fewer where the system refuses, down to one. No
 * slot is ready. NULL: not even one could be had.
 */
struct arena *arena_map(struct pool *pool, size_t slot_bytes, size_t guard_bytes);

/* Unmaps it. It must be in no list. */
void arena_unmap(struct arena *arena);

/* Makes up to `count` more slots ready. Returns how many it made, 0 if the system refuses. */
uint32_t arena_make_ready(struct arena *arena, uint32_t count);

/* Gives the memory of slots of one pool, 1 to ARENA_SLOTS_MAX, back to the system. Their guards
 * stay. */
void arena_discard(struct slot *const *slots, uint32_t count);

static inline char *arena_slot_base(const struct arena *arena, uint32_t index)
{
	return arena->base + (size_t)index * arena->slot_bytes;
}

#endif
