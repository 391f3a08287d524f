/* SPDX-License-Identifier: MIT */
/*
 * Maps arenas and guards their slots.
 *
 * Arenas are reserved, not committed (MAP_NORESERVE). They use no huge pages, because then one
 * touched byte would cost 2 MiB. A guard is made when its slot is first needed, in batches, because
 * installing one costs microseconds.
 *
 * There are two kinds of guard:
 *
 *   MADV_GUARD_INSTALL   Linux 6.13. It marks page table entries and leaves the mapping whole. A
 *                        million guarded stacks are a few thousand mappings.
 *   mprotect()           For older kernels and locked memory (mlockall). Each guard splits the
 *                        mapping twice.
 *
 * Mappings are scarce: vm.max_map_count is 65530 by default. A process that has used them all can
 * neither start a thread nor allocate memory. So guards by mprotect() take at most three quarters
 * of the mappings, which is 24574 stacks by default. The last quarter is for the program. If the
 * program takes more than that, guards are refused earlier.
 *
 * Stacks beyond the three quarters have no guard, and one line on stderr says so. With
 * WEFT_GUARD=always they are refused instead. A stack without a guard has a gap of the same size in
 * its place. An overflow into the gap does no harm, but it goes unnoticed.
 *
 * Rejected: refusing further stacks by default. A task was accepted long before it starts, and the
 * tasks that have stacks may wait for it. Rejected: accepting no more tasks than there can be
 * stacks. That would forbid a million short tasks, which need only a few stacks. Impossible: the
 * guards of several stacks in one mapping. A guard lies between two stacks, so each one changes the
 * protection.
 *
 * process_madvise() on the process itself, with PIDFD_SELF (6.14), does a whole batch in one call.
 * An ordinary pidfd is no alternative, because after a fork it would name the parent.
 */
#include "arena.h"

#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/fatal.h"
#include "src/base/sanitizer.h"
#include "stack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef PIDFD_SELF_THREAD
#define PIDFD_SELF_THREAD (-10000)
#endif

/* Relaxed everywhere. The probe has the same result in every thread, and publishes nothing else. */
static _Atomic int mechanism_in_use = STACK_GUARD_UNKNOWN;

#define MAPPINGS_DEFAULT 65530
#define MAPPINGS_A_GUARD 2 /* the guard, and the part above it */

/* How many mappings the guards of all arenas take. */
static _Atomic size_t guard_mappings;

/* relaxed everywhere: a setting */
static _Atomic bool guards_insisted;

/* Gives one advice for count areas of `bytes` each. Returns whether the kernel took all of it. */
static bool advise_at_once(const struct iovec *areas, size_t bytes, uint32_t count, int advice)
{
#ifdef SYS_process_madvise
	long done = syscall(SYS_process_madvise, PIDFD_SELF_THREAD, areas, (unsigned long)count,
			    advice, 0U);

	return done == (long)(bytes * count);
#else
	(void)areas, (void)bytes, (void)count, (void)advice;
	return false;
#endif
}

/* Guards count areas of `bytes` each. The first is at base, and the others are `stride` apart. */
static bool guard_at_once(char *base, size_t bytes, size_t stride, uint32_t count)
{
	struct iovec areas[ARENA_BATCH];

	for (uint32_t i = 0; i < count; i++)
		areas[i] = (struct iovec){.iov_base = base + i * stride, .iov_len = bytes};
	return advise_at_once(areas, bytes, count, MADV_GUARD_INSTALL);
}

/* Tries each mechanism on a mapping of its own. Returns STACK_GUARD_UNKNOWN if it cannot get that
 * mapping. */
static enum stack_guard_mechanism probe(void)
{
	enum stack_guard_mechanism result = STACK_GUARD_MPROTECT;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *area =
		mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		return STACK_GUARD_UNKNOWN;
	/* Success alone proves nothing: emulators (qemu-user) return 0 for advice that they do not
	 * know. A real guard cannot be populated. */
	if (madvise(area, page, MADV_GUARD_INSTALL) == 0 &&
	    madvise(area, page, MADV_POPULATE_READ) != 0 && weft__errno() == EFAULT) {
		result = STACK_GUARD_MADVISE;
		/* Valgrind does not know the call and prints a warning about it. */
		if (!san_under_valgrind() && guard_at_once(area, page, page, 2))
			result = STACK_GUARD_PROCESS_MADVISE;
	}
	munmap(area, 2 * page);
	return result;
}

enum stack_guard_mechanism weft__stack_guard_mechanism(void)
{
	int mechanism = load_relaxed(&mechanism_in_use);

	if (mechanism == STACK_GUARD_UNKNOWN) {
		mechanism = probe();
		if (mechanism == STACK_GUARD_UNKNOWN)
			return STACK_GUARD_MPROTECT; /* only for this call: the shortage may pass */
		store_relaxed(&mechanism_in_use, mechanism);
	}
	return (enum stack_guard_mechanism)mechanism;
}

void weft__stack_guard_force(enum stack_guard_mechanism mechanism)
{
	store_relaxed(&mechanism_in_use, (int)mechanism);
}

/* The value of vm.max_map_count. */
static size_t mapping_limit(void)
{
	/* relaxed: every thread reads the same value from the file */
	static _Atomic size_t limit;
	size_t known = load_relaxed(&limit);
	char text[32] = "";

	if (known > 0)
		return known;
	int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t length = read(fd, text, sizeof(text) - 1);
		text[length > 0 ? length : 0] = '\0';
		close(fd);
	}
	known = strtoul(text, NULL, 10);
	if (known == 0)
		known = MAPPINGS_DEFAULT; /* in a sandbox without /proc */
	store_relaxed(&limit, known);
	return known;
}

/* Returns whether another guard may be a mapping of its own. If so, the guard is counted. */
static bool guard_mappings_take(void)
{
	size_t limit = mapping_limit();
	/* relaxed, here and below: a counter that publishes nothing */
	size_t taken = fetch_add_relaxed(&guard_mappings, MAPPINGS_A_GUARD);

	if (taken + MAPPINGS_A_GUARD <= limit - limit / 4)
		return true;
	fetch_sub_relaxed(&guard_mappings, MAPPINGS_A_GUARD);
	return false;
}

static void guard_mappings_give_back(size_t guards)
{
	fetch_sub_relaxed(&guard_mappings, guards * MAPPINGS_A_GUARD);
}

void weft__stack_guard_insist(bool always)
{
	store_relaxed(&guards_insisted, always);
}

static void explain_lack_of_guards(void)
{
	static _Atomic bool explained;

	/* relaxed: only one caller may see false, and the exchange alone ensures that */
	if (exchange_relaxed(&explained, true))
		return;
	weft__warn(
		"%zu stacks have a guard, each guard takes %d memory mappings, and "
		"vm.max_map_count is %zu: further stacks have no guard, so their overflow is not "
		"noticed; raise vm.max_map_count (sysctl)",
		load_relaxed(&guard_mappings) / MAPPINGS_A_GUARD, MAPPINGS_A_GUARD,
		mapping_limit());
}

static void explain_mapping_limit(void)
{
	static _Atomic bool explained;

	/* relaxed: as above */
	if (exchange_relaxed(&explained, true))
		return;
	weft__warn("cannot guard another stack: the process has too many memory mappings; raise "
		   "vm.max_map_count (sysctl), or set WEFT_GUARD=off");
}

/* Makes one guard, or none if guards have used their share of the mappings. A locked mapping
 * (mlockall) refuses MADV_GUARD_INSTALL, but mprotect() always works. Returns false if the system
 * refuses a guard within that share, or if WEFT_GUARD=always forbids a stack without one. */
static bool guard_one(struct arena *arena, char *base, enum stack_guard_mechanism mechanism)
{
	if (mechanism != STACK_GUARD_MPROTECT &&
	    madvise(base, arena->guard_bytes, MADV_GUARD_INSTALL) == 0)
		return true;
	if (!guard_mappings_take()) {
		bool refuses = load_relaxed(&guards_insisted);

		if (refuses)
			explain_mapping_limit();
		else
			explain_lack_of_guards();
		return !refuses;
	}
	if (mprotect(base, arena->guard_bytes, PROT_NONE) == 0) {
		arena->guard_mappings++;
		return true;
	}
	/* The program has used more than its own share. */
	if (errno == ENOMEM)
		explain_mapping_limit();
	guard_mappings_give_back(1);
	return false;
}

uint32_t weft__arena_make_ready(struct arena *arena, uint32_t count)
{
	enum stack_guard_mechanism mechanism;
	char *base = arena_slot_base(arena, arena->ready);
	uint32_t made = 0;

	if (count > arena->slots - arena->ready)
		count = arena->slots - arena->ready;
	if (arena->guard_bytes == 0) {
		made = count;
	} else {
		mechanism = weft__stack_guard_mechanism();
		if (mechanism == STACK_GUARD_PROCESS_MADVISE && count > 1 &&
		    guard_at_once(base, arena->guard_bytes, arena->slot_bytes, count))
			made = count;
		while (made < count && guard_one(arena, base + made * arena->slot_bytes, mechanism))
			made++;
	}
	return made;
}

struct arena *weft__arena_map(struct pool *pool, size_t slot_bytes, size_t guard_bytes,
			      size_t slots)
{
	struct arena *arena;
	void *base;

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

void weft__arena_unmap(struct arena *arena)
{
	munmap(arena->base, arena->slots * arena->slot_bytes);
	guard_mappings_give_back(arena->guard_mappings);
	free(arena);
}

void weft__arena_discard(struct slot *const *slots, uint32_t count, size_t kept)
{
	struct iovec areas[ARENA_BATCH];

	for (uint32_t i = 0; i < count; i++) {
		const struct arena *arena = slots[i]->arena;
		char *base = arena_slot_base(arena, (uint32_t)(slots[i] - arena->slot));

		areas[i] = (struct iovec){.iov_base = base + arena->guard_bytes,
					  .iov_len = arena->slot_bytes - arena->guard_bytes - kept};
	}
	if (count > 1 && weft__stack_guard_mechanism() == STACK_GUARD_PROCESS_MADVISE &&
	    advise_at_once(areas, areas[0].iov_len, count, MADV_DONTNEED))
		return;
	/* This fails only for locked memory, which its owner wants to keep. */
	for (uint32_t i = 0; i < count; i++)
		(void)madvise(areas[i].iov_base, areas[i].iov_len, MADV_DONTNEED);
}
