/* SPDX-License-Identifier: MIT */
/* See stack.h. A stack is a slot of a pool; this file computes where its parts are. errno is kept,
 * as in stack_pool.c. */
#include "stack.h"

#include "arena.h"
#include "guard.h"
#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/pages.h"
#include "src/base/sanitizer.h"
#include "stack_holes.h"
#include "stack_pool.h"
#include "stack_trim.h"

#include <errno.h>

#define HEADER_MAX 1024

/* The pages that most tasks use, header included. Instrumented frames are larger. */
#define COOL_PAGES (WEFT__ASAN || WEFT__TSAN ? 16 : 3)

static size_t guard_size(bool guard, size_t page)
{
	return !guard ? 0 : page > WEFT__STACK_GUARD ? page : WEFT__STACK_GUARD;
}

size_t weft__stack_within(size_t reserved, bool guard)
{
	size_t page = weft__page_size();

	/* The same sum as in weft__stack_alloc(). */
	return reserved - guard_size(guard, page) - page;
}

/* Takes a slot of the pool of that kind. Returns NULL if the system refuses. */
static struct slot *take_slot(size_t slot_bytes, size_t guard_bytes)
{
	struct pool *pool = weft__pool_get(slot_bytes, guard_bytes);

	return pool ? weft__pool_take(pool) : NULL;
}

int weft__stack_alloc(size_t size, bool guard, size_t header, struct stack *ret)
{
	size_t page = weft__page_size();
	size_t guard_bytes = guard_size(guard, page);
	size_t slot_bytes;
	struct arena *arena;
	struct slot *slot;
	uint32_t index;
	char *base, *end;

	if (header > HEADER_MAX || size > SIZE_MAX / 2)
		return -ENOMEM;
	/* The extra page holds the header and the colour. */
	slot_bytes = guard_bytes + (size + page - 1) / page * page + page;
	slot = take_slot(slot_bytes, guard_bytes);
	/* Free slots of other pools must not be the reason for the refusal. */
	if (!slot) {
		weft__stack_trim();
		slot = take_slot(slot_bytes, guard_bytes);
	}
	if (!slot && weft__stack_make_holes(slot_bytes))
		slot = take_slot(slot_bytes, guard_bytes);
	if (!slot)
		return -ENOMEM;

	arena = slot->arena;
	index = (uint32_t)(slot - arena->slot);
	base = arena_slot_base(arena, index);
	end = base + arena->slot_bytes;
	san_stack_alloc(base + guard_bytes, end);
	header = (header + WEFT__STACK_COLOUR - 1) / WEFT__STACK_COLOUR * WEFT__STACK_COLOUR;
	*ret = (struct stack){
		.low = base + guard_bytes,
		.top = end - index % WEFT__STACK_COLOURS * WEFT__STACK_COLOUR - header,
		.arena = arena,
		.index = index,
	};
	return 0;
}

static struct slot *slot_of(const struct stack *stack)
{
	return &stack->arena->slot[stack->index];
}

/* Puts the stack's slot back. Returns whether there are enough dirty slots to discard some. */
static bool stack_put(const struct stack *stack)
{
	struct arena *arena = stack->arena;
	char *base = arena_slot_base(arena, stack->index);
	struct slot *slot = slot_of(stack);

	san_stack_free(base + arena->guard_bytes, base + arena->slot_bytes);
	return weft__pool_put(slot);
}

void weft__stack_free(const struct stack *stack)
{
	struct pool *pool = stack->arena->pool; /* pools are never removed */

	if (stack_put(stack))
		weft__pool_discard_batch(pool, pool->hot);
}

void weft__stack_free_lazily(const struct stack *stack)
{
	stack_put(stack);
}

void weft__stack_counts(struct stack_counts *ret)
{
	*ret = (struct stack_counts){0};
	for (size_t i = 0; i < WEFT__STACK_BUCKETS; i++) {
		/* acquire: as in weft__pool_get() (stack_pool.c) */
		struct pool *pool = load_acquire(&weft__stack_pools[i]);

		for (; pool; pool = pool->next) {
			weft__lock(&pool->lock);
			ret->arenas += pool->arena_count;
			ret->used += pool->used;
			ret->dirty += pool->dirty.count;
			ret->clean += pool->clean.count;
			weft__unlock(&pool->lock);
		}
	}
}

void weft__stack_cool(const struct stack *const *stacks, size_t count)
{
	struct slot *slots[ARENA_BATCH];
	size_t kept = COOL_PAGES * weft__page_size();
	int saved = weft__errno();

	for (size_t i = 0; i < count; i++)
		slots[i] = slot_of(stacks[i]);
	const struct arena *arena = slots[0]->arena;
	if (arena->slot_bytes - arena->guard_bytes > kept)
		weft__arena_discard(slots, (uint32_t)count, kept);
	weft__set_errno(saved);
}
