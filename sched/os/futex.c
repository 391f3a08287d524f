/* SPDX-License-Identifier: MIT */
/*
 * Futex wait and wake, private to the process.
 *
 * The C library's syscall() reports through errno, whose address (a const function's result, to the
 * compiler) must not be carried over a switch of coroutines. The wait is never inlined, so that it
 * is computed in here each time, and restores errno. A private wake only uses the address as a key;
 * it cannot fail, whatever has become of the memory.
 */
#include "sched/os/futex.h"

#include "src/never_inline.h"
#include "src/sanitizer.h"

#include <weft/base.h>

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

WEFT__NEVER_INLINE int weft__futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
	struct timespec until;
	struct timespec *timeout = NULL;
	int saved_errno = errno;
	int error;

	if (deadline != WEFT_FOREVER) {
		if (deadline < 0)
			deadline = 0; /* long past; the kernel refuses negative times */
		until.tv_sec = (time_t)(deadline / 1000000000);
		until.tv_nsec = (long)(deadline % 1000000000);
		timeout = &until;
	}

	do {
		/* WAIT_BITSET, because its timeout is an absolute time on CLOCK_MONOTONIC: a wait
		 * that a signal has interrupted begins anew with the same deadline, and compares
		 * the word anew. */
		error = 0;
		if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, timeout, NULL,
			    FUTEX_BITSET_MATCH_ANY) < 0)
			error = errno;
	} while (error == EINTR);

	errno = saved_errno;
	return -error;
}

void weft__futex_wake(_Atomic uint32_t *word, int n)
{
	san_stray_address_begin();
	syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
	san_stray_address_end();
}
