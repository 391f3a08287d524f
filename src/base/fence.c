/* SPDX-License-Identifier: MIT */
/*
 * The mode of the asymmetric fences and their heavy side. See fence.h.
 */
#include "src/base/fence.h"
#include "atomic.h"
#include "compiler.h"

#include "src/base/alloc.h"
#include "src/base/fatal.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

_Atomic int weft__fence_mode = WEFT__FENCE_UNKNOWN;

/* Like the system call, but returns a negative errno. */
static long membarrier(int command)
{
	int saved = weft__errno();
	long result = syscall(SYS_membarrier, command, 0, 0);

	if (result < 0)
		result = -weft__errno();
	weft__set_errno(saved);
	return result;
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

	if (load_relaxed(&weft__fence_mode) != unknown)
		return;

	/* relaxed: only the mode is published. If several threads come here at once, the first one
	 * decides. If its mode is the asymmetric one, that thread has registered the process. */
	cas_relaxed(&weft__fence_mode, &unknown, choose_mode());
}

void weft__fence_heavy(void)
{
	/* relaxed: see weft__fence_mode */
	if (load_relaxed(&weft__fence_mode) != WEFT__FENCE_ASYMMETRIC) {
		weft__fence_full();
		return;
	}

	/* Full barriers on both sides of the call, for the caller too. */
	long rc = membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	if (unlikely(rc != 0))
		weft__fence_insist(rc, membarrier);
}

void weft__fence_insist(long rc, long (*call)(int command))
{
	while (rc == -ENOMEM) {
		/* A barrier for every thread of the machine. It takes milliseconds and no memory.
		 * The kernel refuses it if some CPUs have no timer tick. */
		if (call(MEMBARRIER_CMD_GLOBAL) == 0)
			return;
		sched_yield();
		rc = call(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
	}
	/* Membarrier has been forbidden since the process was registered. There is no correct way
	 * to continue, because the light sides have no fence. */
	if (rc != 0)
		weft__fatal("membarrier() worked at start and fails now: %s; a seccomp filter must "
			    "allow it",
			    strerror((int)-rc));
}
