/* SPDX-License-Identifier: MIT */
/* Lets tests look at stacks and depots from outside. */
#ifndef WEFT_TESTS_SRC_DEPOT_PEEK_H
#define WEFT_TESTS_SRC_DEPOT_PEEK_H

#include "src/depot.h"
#include "src/stack/stack.h"

static inline size_t used_stacks(void)
{
	struct stack_counts counts;

	weft__stack_counts(&counts);
	return counts.used;
}

static inline int64_t due(struct depot *d)
{
	return atomic_load_explicit(&d->due, memory_order_relaxed);
}

#endif
