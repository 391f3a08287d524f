/* SPDX-License-Identifier: MIT */
/* For tests in child processes whose address space is limited. */
#ifndef WEFT_TESTS_SCHED_CORE_LIMITED_H
#define WEFT_TESTS_SCHED_CORE_LIMITED_H

#include "src/base/sanitizer.h"
#include "tests/src/child.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

/* malloc() of glibc keeps 64 MiB of addresses for each thread that allocates, and never gives them
 * back. With four workers that may be all but a few MiB of the limit. Which threads get them
 * depends on how much is free when each of them allocates first. So all threads share one heap. */
static inline void limit_address_space(size_t mebibytes)
{
	struct rlimit limit = {mebibytes << 20, mebibytes << 20};

	mallopt(M_ARENA_MAX, 1);
	if (setrlimit(RLIMIT_AS, &limit) != 0)
		exit(99);
}

static inline void exceed_the_limit(void *arg)
{
	(void)arg;
	limit_address_space(1024);
	if (mmap(NULL, (size_t)2 << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		 0) != MAP_FAILED)
		exit(1);
}

/* Whether such tests can run. If not, says why. */
static inline bool can_limit_address_space(void)
{
	struct child child;

	if (CHILD_TSAN || CHILD_ASAN || san_under_valgrind()) {
		printf("not here: the tool itself needs more address space than the limit\n");
		return false;
	}
	child_run(&child, exceed_the_limit, NULL);
	if (child.status != 0) {
		printf("not here: limits of address space have no effect here (emulation)\n");
		return false;
	}
	return true;
}

#endif
