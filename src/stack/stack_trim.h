/* SPDX-License-Identifier: MIT */
/* What pools of stacks give back to the system (stack_trim.c). */
#ifndef WEFT_SRC_STACK_STACK_TRIM_H
#define WEFT_SRC_STACK_STACK_TRIM_H

#include <stdbool.h>

/* Gives back the memory of some free stacks. It spares the stacks that pools keep hot. Returns true
 * if there may be more. */
bool weft__stack_discard_some(void);

/* Gives back the memory of all free stacks. */
void weft__stack_discard_all(void);

/*
 * Gives back everything that is unused: the content of the caches, every arena without a used slot,
 * and the memory of the other free stacks. It keeps no minimum of stacks. If another thread is
 * inside this call, it waits for that thread.
 */
void weft__stack_trim(void);

/*
 * A cache: something above the pools that keeps stacks which nobody uses, such as a list of idle
 * coroutines. To the pools its stacks are in use. weft__stack_trim() asks each cache for them.
 */
struct stack_cache {
	void (*empty)(void); /* immutable; frees what the cache keeps */
	/* Under WEFT__LOCK_TRIM. */
	struct stack_cache *next;
	bool added;
};

/* Adds a cache for the rest of the process, unless it has been added. */
void weft__stack_cache_add(struct stack_cache *cache);

#endif
