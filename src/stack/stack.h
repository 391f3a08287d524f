/* SPDX-License-Identifier: MIT */
/*
 * Stacks. A stack is a slot of a large reserved arena. Each (size, guard) has one pool of arenas.
 * stack_pool.c has the pools, stack_trim.c has what they give back, arena.c has the mappings, and
 * guard.c has the guards.
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

/*
 * Allocates a stack of at least `size` usable bytes. Its content is undefined. If guards have used
 * their share of the mappings, the stack has no guard (guard.c), and one line on stderr says so,
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

/* The same, but leaves the stack's memory to weft__stack_discard_some() (stack_trim.h). If all
 * stacks of an arena are freed before that call, the arena is unmapped at half the cost. */
void weft__stack_free_lazily(const struct stack *stack);

/* Gives back the memory of stacks that no thread runs on, except for their few uppermost pages. The
 * stacks have one size, and there are 1 to ARENA_BATCH of them. */
void weft__stack_cool(const struct stack *const *stacks, size_t count);

/* The content of all pools, for tests and statistics. Each pool is counted at its own moment. */
struct stack_counts {
	size_t arenas;
	size_t used;  /* allocated slots */
	size_t dirty; /* free slots whose memory is kept */
	size_t clean; /* free slots without memory */
};
void weft__stack_counts(struct stack_counts *ret);

#endif
