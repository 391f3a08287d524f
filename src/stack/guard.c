/* SPDX-License-Identifier: MIT */
/*
 * Guards of stacks.
 *
 * A guard is made when its slot is first needed, in batches, because installing one costs
 * microseconds.
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
 * An ordinary pidfd is not an alternative, because after a fork() it would name the parent.
 */
#include "guard.h"

#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/digits.h"
#include "src/base/fatal.h"
#include "src/base/lockcheck.h"
#include "src/base/pages.h"
#include "src/base/read_file.h"
#include "src/base/sanitizer.h"

#include <errno.h>
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

bool weft__advise_at_once(const struct iovec *areas, size_t bytes, uint32_t count, int advice)
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
	struct iovec areas[WEFT__ADVISE_MAX];

	for (uint32_t i = 0; i < count; i++)
		areas[i] = (struct iovec){.iov_base = base + i * stride, .iov_len = bytes};
	return weft__advise_at_once(areas, bytes, count, MADV_GUARD_INSTALL);
}

/* Tries each mechanism on a mapping of its own. Returns STACK_GUARD_UNKNOWN if it cannot get that
 * mapping. */
static enum stack_guard_mechanism probe(void)
{
	enum stack_guard_mechanism result = STACK_GUARD_MPROTECT;
	size_t page = weft__page_size();
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
	char text[32];
	const char *digits = text;
	uint64_t number;

	if (known > 0)
		return known;
	/* The default is for a sandbox without /proc. */
	if (weft__read_file("/proc/sys/vm/max_map_count", text, sizeof(text)) &&
	    weft__read_digits(&digits, &number) && number > 0 && number <= SIZE_MAX)
		known = (size_t)number;
	else
		known = MAPPINGS_DEFAULT;
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

void weft__guard_mappings_give_back(size_t guards)
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
static bool guard_one(char *base, size_t bytes, enum stack_guard_mechanism mechanism,
		      uint32_t *mappings)
{
	if (mechanism != STACK_GUARD_MPROTECT && madvise(base, bytes, MADV_GUARD_INSTALL) == 0)
		return true;
	if (!guard_mappings_take()) {
		bool refuses = load_relaxed(&guards_insisted);

		if (refuses)
			explain_mapping_limit();
		else
			explain_lack_of_guards();
		return !refuses;
	}
	if (mprotect(base, bytes, PROT_NONE) == 0) {
		*mappings += 1;
		return true;
	}
	/* The program has used more than its own share. */
	if (errno == ENOMEM)
		explain_mapping_limit();
	weft__guard_mappings_give_back(1);
	return false;
}

uint32_t weft__guards_make(char *base, size_t bytes, size_t stride, uint32_t count,
			   uint32_t *mappings)
{
	enum stack_guard_mechanism mechanism = weft__stack_guard_mechanism();
	uint32_t made = 0;

	WEFT__MAPS();
	if (mechanism == STACK_GUARD_PROCESS_MADVISE && count > 1 &&
	    guard_at_once(base, bytes, stride, count))
		return count;
	while (made < count && guard_one(base + made * stride, bytes, mechanism, mappings))
		made++;
	return made;
}
