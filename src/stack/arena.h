/* SPDX-License-Identifier: MIT */
/* An arena: a mapping cut into stack slots. Its pool uses it (stack_pool.h). arena.c maps it. */
#ifndef WEFT_SRC_STACK_ARENA_H
#define WEFT_SRC_STACK_ARENA_H

#include "guard.h"
#include "src/base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pool;

#define ARENA_SLOTS_MAX 256
#define ARENA_BATCH     WEFT__ADVISE_MAX /* slots in one system call */
#define ARENA_BYTES_MAX ((size_t)64 << 20)

enum slot_state {
	SLOT_UNREADY, /* in no list, without a guard, never used */
	SLOT_CLEAN,   /* in the pool's clean list, without memory */
	SLOT_DIRTY,   /* in the pool's dirty list */
	SLOT_USED,    /* in no list; belongs to its allocator */
	SLOT_DISCARD, /* in no list while its memory is given back */
	SLOT_HOLE,    /* in no list, and unmapped for as long as the arena lives (stack_holes.c) */
};

/* Under the pool's lock. */
struct slot {
	struct weft__link link; /* in a list of the pool while CLEAN or DIRTY */
	struct arena *arena;    /* immutable */
	enum slot_state state;
};

struct arena {
	/* Immutable. */
	struct pool *pool;
	char *base;
	size_t slot_bytes;
	size_t guard_bytes; /* the lowest bytes of slot_bytes; 0 without guards */
	uint32_t slots;
	/* Under the pool's lock. */
	struct weft__link link; /* in the pool's list of all arenas, or in one to be unmapped */
	struct weft__link fill; /* in the pool's list of arenas with unready slots */
	/* Slots [0, ready) have their guard, and the others were never used. The thread that fills
	 * the arena reads it without the lock. */
	uint32_t ready;
	uint32_t guard_mappings; /* guards that are mappings of their own; the filling thread's */
	/* Slots in SLOT_USED or SLOT_DISCARD. One more while a thread fills the arena or makes holes
	 * in it. */
	uint32_t used;
	uint32_t holes;     /* slots in SLOT_HOLE; all are below `ready` */
	uint32_t hole_runs; /* how many pieces they are in */
	struct slot slot[];
};

/*
 * Maps an arena of `slots` slots, at most ARENA_SLOTS_MAX. It has fewer slots, down to one, if the
 * slots are large or the system refuses. No slot is ready. Returns NULL if not even one slot fits.
 */
struct arena *weft__arena_map(struct pool *pool, size_t slot_bytes, size_t guard_bytes,
			      size_t slots);

/* Unmaps the arena, which must be in no list. */
void weft__arena_unmap(struct arena *arena);

/* Unmaps `count` slots from `first` on. All are mapped and in no list. Returns false if the system
 * refuses, or if there are too many holes already. The caller records the hole. */
bool weft__arena_make_hole(struct arena *arena, uint32_t first, uint32_t count);

/* Guards up to `count` slots, at most ARENA_BATCH, from the first unready slot on. Returns how many
 * are done, or 0 if the system refuses. The caller adds that number to `ready`. If guards have used
 * their share of the mappings, a slot gets no guard (arena.c). One thread at a time. */
uint32_t weft__arena_make_ready(struct arena *arena, uint32_t count);

/* Gives the memory of 1 to ARENA_BATCH slots of one pool back to the system. It keeps the uppermost
 * `kept` bytes of each slot, whole pages, and the guards. */
void weft__arena_discard(struct slot *const *slots, uint32_t count, size_t kept);

static inline char *arena_slot_base(const struct arena *arena, uint32_t index)
{
	return arena->base + (size_t)index * arena->slot_bytes;
}

#endif
