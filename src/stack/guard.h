/* SPDX-License-Identifier: MIT */
/* Guards: areas without access below stacks, so that an overflow is noticed. */
#ifndef WEFT_SRC_STACK_GUARD_H
#define WEFT_SRC_STACK_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct iovec;

#define WEFT__STACK_GUARD ((size_t)64 << 10)

/* Areas in one system call. */
#define WEFT__ADVISE_MAX 64

/* How guards are made. */
enum stack_guard_mechanism {
	STACK_GUARD_UNKNOWN,         /* not probed yet */
	STACK_GUARD_PROCESS_MADVISE, /* MADV_GUARD_INSTALL, many guards at once */
	STACK_GUARD_MADVISE,         /* MADV_GUARD_INSTALL, one guard at a time */
	STACK_GUARD_MPROTECT,        /* PROT_NONE: two more mappings for each, or no guard */
};

/* Decides, for the whole process, what happens once guards have used their share of the mappings.
 * With `always`, further stacks are refused, with the line about the mapping limit
 * (WEFT_GUARD=always). Without it, they have no guard. */
void weft__stack_guard_insist(bool always);

/* The mechanism in use. Probes for it if necessary. Tests force one with the setter;
 * STACK_GUARD_UNKNOWN makes the next call probe again. */
enum stack_guard_mechanism weft__stack_guard_mechanism(void);
void weft__stack_guard_force(enum stack_guard_mechanism mechanism);

/*
 * Guards count areas of `bytes` each, at most WEFT__ADVISE_MAX. The first is at base, and the
 * others are `stride` apart. Returns how many are done, or 0 if the system refuses. If guards have
 * used their share of the mappings, an area counts as done without a guard (guard.c). errno may
 * change.
 *
 * @mappings  is increased by the number of guards that are mappings of their own.
 */
uint32_t weft__guards_make(char *base, size_t bytes, size_t stride, uint32_t count,
			   uint32_t *mappings);

/* Guards that were mappings of their own have been unmapped. */
void weft__guard_mappings_give_back(size_t guards);

/* Gives one advice for count areas of `bytes` each, at most WEFT__ADVISE_MAX, in one system call.
 * Returns whether the kernel took all of it. Works with STACK_GUARD_PROCESS_MADVISE only. */
bool weft__advise_at_once(const struct iovec *areas, size_t bytes, uint32_t count, int advice);

#endif
