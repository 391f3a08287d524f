/* SPDX-License-Identifier: MIT */
/*
 * Stacks. A stack is a slot of a large reserved arena. Each (size, guard) has one pool of arenas.
 * stack.c has the pools, stack_trim.c has what they give back, and arena.c has the mappings.
 *
 * A slot, from its lowest address:
 *
 *   guard         64 KiB without access. Absent if the stack has no guard. A guard of a single page
 *                 would be skipped by any larger frame.
 *   stack         at least the size that was asked for
 *   header        the owner's. It shares a page with the stack's first frames, so a suspended
 *                 coroutine with a shallow stack costs one page.
 *   colour        0 to 960 bytes, a function of the slot's index. It spreads the headers and first
 *                 frames of many stacks over the cache sets. Code that walks the arenas can still
 *                 compute where a header is.
 *
 * Any thread may allocate and free. Both operations take the pool's lock, in amortised constant
 * time.
 */
#ifndef WEFT_SRC_STACK_STACK_H
#define WEFT_SRC_STACK_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/* Belongs to the code that allocated it. */
struct stack {
	char *low, *top;     /* the usable bytes; the header begins at top */
	struct arena *arena; /* NULL: not one of ours (a leader's stack) */
	uint32_t index;      /* of the slot, in its arena */
};

#define WEFT__STACK_COLOURS 16
#define WEFT__STACK_COLOUR  64 /* bytes; also the header's alignment */
#define WEFT__STACK_GUARD   ((size_t)64 << 10)

/* How guards are made. */
enum stack_guard_mechanism {
	STACK_GUARD_UNKNOWN,         /* not probed yet */
	STACK_GUARD_PROCESS_MADVISE, /* MADV_GUARD_INSTALL, many guards at once */
	STACK_GUARD_MADVISE,         /* MADV_GUARD_INSTALL, one guard at a time */
	STACK_GUARD_MPROTECT,        /* PROT_NONE: two more mappings for each, or no guard */
};

/*
 * Allocates a stack of at least `size` usable bytes. Its content is undefined. If guards have used
 * their share of the mappings, the stack has no guard (arena.c), and one line on stderr says so,
 * once.
 *
 * @header  bytes to leave at .top, at most 1 KiB. The same for all users of one size.
 *
 * Returns 0, or -ENOMEM if the system has no address space, memory or mapping for it. If the
 * mapping limit seems to be the reason, one line on stderr says so, once.
 */
int weft__stack_alloc(size_t size, bool guard, size_t header, struct stack *ret);

/* The usable bytes of a stack whose slot takes `reserved` bytes, guard and header included. Whole
 * pages. */
size_t weft__stack_within(size_t reserved, bool guard);

/* Gives a stack back. No thread may be running on it. `stack` may lie in it, because it is copied
 * first. */
void weft__stack_free(const struct stack *stack);

/* The same, but leaves the stack's memory to weft__stack_discard_some(). If all stacks of an arena
 * are freed before that call, the arena is unmapped at half the cost. */
void weft__stack_free_lazily(const struct stack *stack);

/* Gives back the memory of some free stacks. It spares the stacks that pools keep hot. Returns true
 * if there may be more. */
bool weft__stack_discard_some(void);

/* Gives back the memory of stacks that no thread runs on, except for their few uppermost pages. The
 * stacks have one size, and there are 1 to ARENA_BATCH of them. */
void weft__stack_cool(const struct stack *const *stacks, size_t count);

/* Gives back the memory of all free stacks. */
void weft__stack_discard_all(void);

/*
 * Gives back everything that is unused: the spares (spare.h), the content of the depots, every
 * arena without a used slot, and the memory of the other free stacks. It keeps no minimum of
 * stacks. If another thread is inside this call, it waits for that thread.
 */
void weft__stack_trim(void);

/* Decides, for the whole process, what happens once guards have used their share of the mappings.
 * With `always`, further stacks are refused, with the line about the mapping limit
 * (WEFT_GUARD=always). Without it, they have no guard. */
void weft__stack_guard_insist(bool always);

/* The mechanism in use. Probes for it if necessary. Tests force one with the setter;
 * STACK_GUARD_UNKNOWN makes the next call probe again. */
enum stack_guard_mechanism weft__stack_guard_mechanism(void);
void weft__stack_guard_force(enum stack_guard_mechanism mechanism);

/* The content of all pools, for tests and statistics. Each pool is counted at its own moment. */
struct stack_counts {
	size_t arenas;
	size_t used;  /* allocated slots */
	size_t dirty; /* free slots whose memory is kept */
	size_t clean; /* free slots without memory */
};
void weft__stack_counts(struct stack_counts *ret);

/* Around a fork, under WEFT__LOCK_STACK_POOLS: take and release the lock of every pool
 * (process_locks.h). The child loses what another thread was mapping or giving back at the fork.
 * That is address space, and the memory of at most one batch of stacks for each such thread. */
void weft__stack_pools_lock_each(void);
void weft__stack_pools_unlock_each(bool in_child);

#endif
