/* SPDX-License-Identifier: MIT */
/*
 * Holes: free slots that are unmapped although other slots of their arena are in use.
 *
 * The problem. An arena takes up to 64 MiB of addresses, and can be unmapped only as a whole once
 * none of its slots is in use. A single task that lives on keeps all of it. A few such tasks, one in
 * each arena, keep nearly all that a limit of address space allows (ulimit -v). A stack of another
 * size is then refused for ever, although most slots are free.
 *
 * The design. If weft__stack_trim() has not helped, and the process has such a limit, free slots are
 * unmapped, in runs of neighbours, until the stack fits. A hole stays until its arena is unmapped,
 * which happens as soon as no slot of the arena is used. Other mappings of the process may come to
 * lie in it.
 *
 * No holes are made if the limit would refuse the stack even then, or if there is no limit. The
 * addresses might not come back, and the free slots can still serve tasks of their own size.
 *
 * Each hole may split a mapping, and mappings are scarce (arena.c). So their number has a bound.
 *
 * The pool's lock is not held while slots are unmapped. They are in no list meanwhile, and the arena
 * counts one more used slot.
 *
 * Rejected: holes at each weft__stack_trim(). They give back no memory, only addresses. The next
 * burst would have to map new arenas and to make new guards. Rejected: smaller arenas near a limit.
 * No limit tells how near it is, and small arenas cost mappings in every program.
 */
#include "stack_holes.h"

#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/digits.h"
#include "src/base/pages.h"
#include "src/base/process_locks.h"
#include "src/base/read_file.h"
#include "src/base/sanitizer.h"
#include "stack_pool.h"

#include <sys/resource.h>

/* More than the heap takes for the descriptor of a new arena. */
#define DESCRIPTOR_BYTES ((size_t)256 << 10)

/* Neighbouring slots of one state. */
struct run {
	uint16_t first, count;
	bool ready;
	bool made; /* unmapped */
};

/* Between two runs of ready slots is a used one. The unready slots are one more run. */
#define RUNS_MAX (ARENA_SLOTS_MAX / 2 + 1)

static bool is_free(const struct slot *slot)
{
	return slot->state == SLOT_CLEAN || slot->state == SLOT_DIRTY;
}

/* Makes holes of all free slots of an arena, except that they are still mapped. Returns how many
 * runs there are. */
static size_t mark_locked(struct pool *pool, struct arena *arena, struct run runs[RUNS_MAX])
{
	size_t count = 0;

	for (uint32_t i = 0, first; i < arena->ready; i++) {
		for (first = i; i < arena->ready && is_free(&arena->slot[i]); i++) {
			slot_remove(list_of(pool, arena->slot[i].state), &arena->slot[i]);
			arena->slot[i].state = SLOT_HOLE;
		}
		if (i > first)
			runs[count++] =
				(struct run){(uint16_t)first, (uint16_t)(i - first), true, false};
	}
	/* Otherwise a thread fills the arena. */
	if (weft__link_is_in_list(&arena->fill)) {
		weft__list_remove(&arena->fill);
		runs[count++] = (struct run){(uint16_t)arena->ready,
					     (uint16_t)(arena->slots - arena->ready), false, false};
		for (; arena->ready < arena->slots; arena->ready++)
			arena->slot[arena->ready].state = SLOT_HOLE;
	}
	for (size_t i = 0; i < count; i++)
		arena->holes += runs[i].count;
	arena->hole_runs += (uint32_t)count;
	return count;
}

/* Undoes mark_locked() for a run that could not be unmapped. */
static void unmark_locked(struct pool *pool, struct arena *arena, struct run run)
{
	arena->holes -= run.count;
	arena->hole_runs--;
	for (uint32_t i = run.first; i < (uint32_t)run.first + run.count; i++) {
		arena->slot[i].state = run.ready ? SLOT_DIRTY : SLOT_UNREADY;
		if (run.ready)
			slot_push(&pool->dirty, &arena->slot[i]);
	}
	if (!run.ready) {
		arena->ready = run.first;
		weft__list_push_first(&pool->filling, &arena->fill);
	}
}

/* Unmaps at least `bytes` of the arena's free slots, if there are so many. Returns how many bytes
 * it has unmapped. Releases the lock meanwhile. */
static size_t make_holes_in_locked(struct pool *pool, struct arena *arena, size_t bytes)
{
	struct run runs[RUNS_MAX];
	size_t done = 0;

	size_t count = mark_locked(pool, arena, runs);
	if (count == 0)
		return 0;
	arena_hold_locked(arena);
	weft__unlock(&pool->lock);
	for (size_t i = 0; i < count && done < bytes; i++) {
		runs[i].made = weft__arena_make_hole(arena, runs[i].first, runs[i].count);
		if (runs[i].made)
			done += runs[i].count * arena->slot_bytes;
	}
	weft__lock(&pool->lock);
	for (size_t i = 0; i < count; i++) {
		if (!runs[i].made)
			unmark_locked(pool, arena, runs[i]);
	}
	arena_release_locked(arena);
	return done;
}

/* The bytes of addresses that the process uses, or 0 if that cannot be found out. */
static size_t addresses_used(void)
{
	char text[32];
	const char *digits = text;
	uint64_t pages;

	if (!weft__read_file("/proc/self/statm", text, sizeof(text)) ||
	    !weft__read_digits(&digits, &pages))
		return 0;
	return (size_t)pages * weft__page_size();
}

static size_t free_bytes(struct pool *pool, size_t bytes)
{
	size_t slots;

	(void)bytes;
	weft__lock(&pool->lock);
	slots = pool->dirty.count + pool->clean.count;
	for (struct weft__link *link = weft__list_first(&pool->filling); link;
	     link = weft__list_next(&pool->filling, link)) {
		const struct arena *arena = arena_of_fill_link(link);

		slots += arena->slots - arena->ready;
	}
	weft__unlock(&pool->lock);
	return slots * pool->slot_bytes;
}

/* Calls fn for each pool until it has returned `bytes` in all. Returns that sum.
 * Stays: fn is a function of this file. */
static WEFT__STAYS size_t sum_of_pools(size_t (*fn)(struct pool *pool, size_t bytes), size_t bytes)
{
	size_t sum = 0;

	for (size_t i = 0; i < WEFT__STACK_BUCKETS; i++) {
		/* acquire: as in weft__pool_get() (stack_pool.c) */
		struct pool *pool = load_acquire(&weft__stack_pools[i]);

		for (; pool && sum < bytes; pool = pool->next)
			sum += fn(pool, bytes - sum);
	}
	return sum;
}

static size_t make_holes_in_pool(struct pool *pool, size_t bytes)
{
	size_t done = 0;

	weft__lock(&pool->lock);
	/* An arena stays in the list while the lock is released: it counts as used. */
	for (struct weft__link *link = weft__list_first(&pool->arenas); link && done < bytes;
	     link = weft__list_next(&pool->arenas, link))
		done += make_holes_in_locked(pool, arena_of_link(link), bytes - done);
	weft__unlock(&pool->lock);
	return done;
}

/* Returns how much must be unmapped so that the limit allows `bytes` more, or 0 if the limit has not
 * refused them. */
static size_t bytes_above_limit(size_t bytes)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
		return 0;
	size_t wanted = addresses_used() + bytes + DESCRIPTOR_BYTES;
	return wanted > limit.rlim_cur ? wanted - limit.rlim_cur : 0;
}

bool weft__stack_make_holes(size_t bytes)
{
	bool made = false;
	int saved = weft__errno();

	weft__lock_process(WEFT__LOCK_TRIM);
	san_ignore_begin();
	size_t above = bytes_above_limit(bytes);
	if (above > 0 && sum_of_pools(free_bytes, above) >= above)
		made = sum_of_pools(make_holes_in_pool, above) > 0;
	san_ignore_end();
	weft__unlock_process(WEFT__LOCK_TRIM);
	weft__set_errno(saved);
	return made;
}
