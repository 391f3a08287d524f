/* SPDX-License-Identifier: MIT */
/*
 * Futex wait and wake, private to the process.
 *
 * The C library's syscall() reports through errno. To the compiler, errno's address is the result
 * of a const function. It must not be kept over a switch of coroutines. So the wait is never
 * inlined, computes the address here each time, and restores errno. A private wake uses the address
 * only as a key. It cannot fail, whatever has become of the memory.
 *
 * ThreadSanitizer holds back a signal's handler until the thread's next intercepted call, and a raw
 * futex is not intercepted. So in its builds a wait that a signal has interrupted makes such a
 * call. A signal that comes just before the system call interrupts nothing. For that case the wait
 * is cut into slices.
 */
#include "src/base/futex.h"

#include "src/base/clock.h"
#include "src/base/compiler.h"
#include "src/base/sanitizer.h"

#include <weft/base.h>

#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#undef weft__futex_wait /* the macros are for callers */
#undef weft__futex_wake

#define SLICE_NS 100000000

/* The end of one slice of a wait until the deadline. */
static inline int64_t slice_end(int64_t deadline)
{
	int64_t end = WEFT__TSAN ? weft__clock_real() + SLICE_NS : WEFT_FOREVER;

	return end < deadline ? end : deadline;
}

/* Makes ThreadSanitizer run the handlers that it holds back. */
static inline void run_kept_handlers(void)
{
#if WEFT__TSAN
	nanosleep(&(const struct timespec){0}, NULL);
#endif
}

WEFT__NEVER_INLINE int weft__futex_wait(_Atomic uint32_t *word, uint32_t expected, int64_t deadline)
{
	int saved_errno = errno;
	int error;

	if (deadline < 0)
		deadline = 0; /* long past; the kernel refuses negative times */
	do {
		int64_t end = slice_end(deadline);
		struct timespec until = {(time_t)(end / 1000000000), (long)(end % 1000000000)};

		/* WAIT_BITSET takes an absolute time on CLOCK_MONOTONIC. So a wait that a signal
		 * has interrupted starts again with the same deadline, and compares the word
		 * again. */
		error = 0;
		if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected,
			    end == WEFT_FOREVER ? NULL : &until, NULL, FUTEX_BITSET_MATCH_ANY) < 0)
			error = errno;
		if (error == ETIMEDOUT && end != deadline)
			error = EINTR;
		if (error == EINTR)
			run_kept_handlers();
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
