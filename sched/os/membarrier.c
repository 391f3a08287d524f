/* SPDX-License-Identifier: MIT */
/*
 * The mode of the asymmetric fences and their heavy side. See membarrier.h.
 */
#include "sched/os/membarrier.h"

#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

_Atomic int weft__fence_mode = WEFT__FENCE_UNKNOWN;

static long membarrier(int command)
{
	return syscall(SYS_membarrier, command, 0, 0);
}

static int choose_mode(void)
{
#if defined(WEFT__FENCE_TSAN)
	return WEFT__FENCE_SYMMETRIC;
#else
	long commands = membarrier(MEMBARRIER_CMD_QUERY);

	if (commands < 0 || !(commands & MEMBARRIER_CMD_PRIVATE_EXPEDITED) ||
	    membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED) != 0)
		return WEFT__FENCE_SYMMETRIC;
	return WEFT__FENCE_ASYMMETRIC;
#endif
}

void weft__fence_init(void)
{
	int unknown = WEFT__FENCE_UNKNOWN;

	if (atomic_load_explicit(&weft__fence_mode, memory_order_relaxed) != unknown)
		return;

	/* relaxed: nothing but the mode is published. Of several threads that come here at once the
	 * first decides, and if its mode is the asymmetric one then it has registered the
	 * process. */
	atomic_compare_exchange_strong_explicit(&weft__fence_mode, &unknown, choose_mode(),
						memory_order_relaxed, memory_order_relaxed);
}

void weft__fence_heavy(void)
{
	/* relaxed: see weft__fence_mode */
	if (atomic_load_explicit(&weft__fence_mode, memory_order_relaxed) !=
	    WEFT__FENCE_ASYMMETRIC) {
		weft__fence_full();
		return;
	}

	/* Full barriers on both sides of the call, for the caller too. It cannot fail once the
	 * process is registered unless someone has forbidden it since, and then there is no right
	 * way to go on: the light sides have no fence. */
	if (membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED) != 0) {
		fputs("weft: membarrier() worked at start and fails now (a seccomp filter?)\n",
		      stderr);
		abort();
	}
}
