/* SPDX-License-Identifier: MIT */
/*
 * Stacks. They come in slots of large reserved arenas, one pool of arenas for each (size, guard);
 * stack.c has the pools, stack_trim.c what they give back, arena.c the mappings. A slot, from its
 * lowest address:
 *
 *   guard         64 KiB without access (a single page is skipped by any larger frame); absent without guard
 *   stack         at least the size that was asked for
 *   header        the owner's, in the same page as the stack's first frames: a coroutine that is suspended with a
 *                 shallow stack costs one page
 *   colour        0 to 960 bytes, a function of the slot's index: headers and first frames of a thousand stacks do not
 *                 share the same few cache sets, and yet anybody who walks the arenas can find them
 *
 * Any thread may allocate and free; both take the pool's lock, in amortised constant time.
 */
#ifndef WEFT_SRC_STACK_H
#define WEFT_SRC_STACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

/* Belongs to who allocated it. */
struct stack {
	char *low, *top;     /* the usable bytes; the header begins at top */
	struct arena *arena; /* NULL: not ours (a leader's) */
	uint32_t index;      /* the slot's, in its arena */
};

#define WEFT__STACK_COLOURS 16
#define WEFT__STACK_COLOUR  64 /* bytes; also the header's alignment */
#define WEFT__STACK_GUARD   ((size_t)64 << 10)

/* How guards are made. */
enum stack_guard_mechanism {
	STACK_GUARD_UNKNOWN,         /* not probed yet */
	STACK_GUARD_PROCESS_MADVISE, /* MADV_GUARD_INSTALL for many at once */
	STACK_GUARD_MADVISE,         /* MADV_GUARD_INSTALL for each */
	STACK_GUARD_MPROTECT,        /* PROT_NONE: two more mappings for each, or no guard */
};

/*
 * A stack of at least `size` usable bytes. Its content is undefined.
 *
 * @header  bytes to leave at .top, the same for all users of one size, at most 1 KiB.
 *
 * 0; -ENOMEM: no address space, memory or mapping could be had (where the mapping limit seems to be
 * the reason, one line on stderr, once). Where guards have had their share of the mappings the stack
 * has none (arena.c): one line on stderr, once.
 */
int weft__stack_alloc(size_t size, bool guard, size_t header, struct stack *ret);

/* The usable bytes, whole pages, of a stack whose slot takes `reserved` bytes, guard and header
 * included. */
size_t weft__stack_within(size_t reserved, bool guard);

/* Gives a stack back. Nobody may be running on it. `stack` may lie in it: it is copied first. */
void weft__stack_free(const struct stack *stack);

/* The same, but leaves its memory to weft__stack_discard_some(): where all of an arena's stacks are
 * freed before that, it is unmapped at half the cost. */
void weft__stack_free_lazily(const struct stack *stack);

/* Gives back the memory of some free stacks, of those that pools do not keep hot. true: there may
 * be more. */
bool weft__stack_discard_some(void);

/* Gives back the memory of stacks that nobody runs on, but for the few uppermost pages. They are of
 * one size, 1 to ARENA_BATCH. */
void weft__stack_cool(const struct stack *const *stacks, size_t count);

/* Gives back the memory of all free stacks. */
void weft__stack_discard_all(void);

/*
 * Gives back all that nobody uses: the spares (spare.h), what is in depots, every arena that has no
 * used slot, however few stacks are then kept, and the memory of the other free stacks. Waits for
 * those who are at it.
 */
void weft__stack_trim(void);

/* Whether a stack is refused, with the line about the mapping limit, where guards have had their
 * share of the mappings (WEFT_GUARD=always). Else it has no guard. For the whole process. */
void weft__stack_guard_insist(bool always);

/* The mechanism in use; probes if need be. Tests force one with the setter (STACK_GUARD_UNKNOWN:
 * probe again). */
enum stack_guard_mechanism weft__stack_guard_mechanism(void);
void weft__stack_guard_force(enum stack_guard_mechanism mechanism);

/* What all pools hold. For tests and statistics; a snapshot pool by pool. */
struct stack_counts {
	size_t arenas;
	size_t used;  /* slots that are allocated */
	size_t dirty; /* free slots whose memory is kept */
	size_t clean; /* free slots without memory */
};
void weft__stack_counts(struct stack_counts *ret);

/* Around a fork, under WEFT__LOCK_STACK_POOLS: takes and releases the lock of every pool
 * (process_locks.h). What another thread was mapping or giving back at the fork is lost to the
 * child: address space, and the memory of at most a batch of stacks for each such thread. */
void weft__stack_pools_lock_each(void);
void weft__stack_pools_unlock_each(bool in_child);

#endif
