/* SPDX-License-Identifier: MIT */
/*
 * Maps arenas.
 *
 * Arenas are reserved, not committed (MAP_NORESERVE). They use no huge pages, because then one
 * touched byte would cost 2 MiB. guard.c guards their slots.
 */
#include "arena.h"

#include "guard.h"
#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/lockcheck.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>

#define HOLES_MAX 1024 /* of all arenas */

uint32_t weft__arena_make_ready(struct arena *arena, uint32_t count)
{
	if (count > arena->slots - arena->ready)
		count = arena->slots - arena->ready;
	if (arena->guard_bytes == 0)
		return count;
	return weft__guards_make(arena_slot_base(arena, arena->ready), arena->guard_bytes,
				 arena->slot_bytes, count, &arena->guard_mappings);
}

struct arena *weft__arena_map(struct pool *pool, size_t slot_bytes, size_t guard_bytes,
			      size_t slots)
{
	struct arena *arena;
	void *base;

	WEFT__MAPS();
	if (slots > ARENA_BYTES_MAX / slot_bytes)
		slots = ARENA_BYTES_MAX / slot_bytes;
	if (slots == 0)
		slots = 1;
	for (;; slots /= 2) {
		base = mmap(NULL, slots * slot_bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (base != MAP_FAILED)
			break;
		if (slots == 1)
			return NULL;
	}
	/* This fails if the kernel has no huge pages, which is just as good. */
	(void)madvise(base, slots * slot_bytes, MADV_NOHUGEPAGE);

	arena = weft__malloc(sizeof(*arena) + slots * sizeof(arena->slot[0]));
	if (!arena)
		goto err_unmap;
	*arena = (struct arena){
		.pool = pool,
		.base = base,
		.slot_bytes = slot_bytes,
		.guard_bytes = guard_bytes,
		.slots = (uint32_t)slots,
	};
	for (size_t i = 0; i < slots; i++)
		arena->slot[i] = (struct slot){.arena = arena, .state = SLOT_UNREADY};
	return arena;

err_unmap:
	munmap(base, slots * slot_bytes);
	return NULL;
}

/* How many holes there are. Each may split a mapping in two. relaxed: a counter that publishes
 * nothing. */
static _Atomic uint32_t hole_runs;

bool weft__arena_make_hole(struct arena *arena, uint32_t first, uint32_t count)
{
	WEFT__MAPS();
	if (fetch_add_relaxed(&hole_runs, 1) < HOLES_MAX &&
	    munmap(arena_slot_base(arena, first), count * arena->slot_bytes) == 0)
		return true;
	fetch_sub_relaxed(&hole_runs, 1);
	return false;
}

/* The end of the slots from `first` on that are all holes, or all no holes. */
static uint32_t run_end(const struct arena *arena, uint32_t first)
{
	bool hole = arena->slot[first].state == SLOT_HOLE;
	uint32_t end = first + 1;

	while (end < arena->slots && (arena->slot[end].state == SLOT_HOLE) == hole)
		end++;
	return end;
}

void weft__arena_unmap(struct arena *arena)
{
	WEFT__MAPS();
	/* Another mapping of the process may lie in a hole by now. */
	for (uint32_t first = 0, end; first < arena->slots; first = end) {
		end = run_end(arena, first);
		if (arena->slot[first].state != SLOT_HOLE)
			munmap(arena_slot_base(arena, first), (end - first) * arena->slot_bytes);
	}
	fetch_sub_relaxed(&hole_runs, arena->hole_runs);
	weft__guard_mappings_give_back(arena->guard_mappings);
	free(arena);
}

void weft__arena_discard(struct slot *const *slots, uint32_t count, size_t kept)
{
	struct iovec areas[ARENA_BATCH];

	WEFT__MAPS();
	for (uint32_t i = 0; i < count; i++) {
		const struct arena *arena = slots[i]->arena;
		char *base = arena_slot_base(arena, (uint32_t)(slots[i] - arena->slot));

		areas[i] = (struct iovec){.iov_base = base + arena->guard_bytes,
					  .iov_len = arena->slot_bytes - arena->guard_bytes - kept};
	}
	if (count > 1 && weft__stack_guard_mechanism() == STACK_GUARD_PROCESS_MADVISE &&
	    weft__advise_at_once(areas, areas[0].iov_len, count, MADV_DONTNEED))
		return;
	/* This fails only for locked memory, which its owner wants to keep. */
	for (uint32_t i = 0; i < count; i++)
		(void)madvise(areas[i].iov_base, areas[i].iov_len, MADV_DONTNEED);
}
