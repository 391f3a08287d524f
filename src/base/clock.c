/* SPDX-License-Identifier: MIT */
#include "src/base/clock.h"
#include "atomic.h"

#include "src/base/compiler.h"
#include "src/base/sanitizer.h"

#include <pthread.h>
#include <time.h>

/* Far from 0, which stands for deadlines that mean "do not wait". Also less than any machine's
 * clock shows soon after it has started. */
#define VIRTUAL_BEGIN INT64_C(1000000000)
#define VIRTUAL_STEP  100

#define NOBODY  ((uintptr_t)0)
#define CLAIMED ((uintptr_t)1)

/*
 * NOBODY, CLAIMED, or the thread that has virtual time. relaxed unless a comment says otherwise: a
 * thread looks only for itself, and it sees its own store.
 */
static _Atomic uintptr_t owner = NOBODY;

/* The owner's. */
static int64_t virtual_now;

static bool is_virtual(void)
{
	uintptr_t who = load_relaxed(&owner);

	return unlikely(who != NOBODY) && who == (uintptr_t)pthread_self();
}

int64_t weft__clock_real(void)
{
	struct timespec now;

	/* This cannot fail: the clock exists and the address is valid. ThreadSanitizer sees a
	 * write, by whichever fiber runs here, to a frame that it knows nothing else about. */
	san_ignore_begin();
	clock_gettime(CLOCK_MONOTONIC, &now);
	san_ignore_end();
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Never inlined. To the compiler pthread_self() is a const function, and it would keep the result
 * over a switch. */
WEFT__NEVER_INLINE int64_t weft__clock_now(void)
{
	if (is_virtual())
		return virtual_now += VIRTUAL_STEP;
	return weft__clock_real();
}

bool weft__clock_reserve(void)
{
	uintptr_t nobody = NOBODY;

	/* acquire: sees the last owner's use of virtual_now. Pairs with weft__clock_release(). */
	return cas_acquire(&owner, &nobody, CLAIMED);
}

void weft__clock_release(void)
{
	/* release: publishes virtual_now to the next owner. Pairs with the acquire in
	 * weft__clock_reserve(). */
	store_release(&owner, NOBODY);
}

void weft__clock_begin_virtual(void)
{
	virtual_now = VIRTUAL_BEGIN;
	store_relaxed(&owner, (uintptr_t)pthread_self());
}

void weft__clock_end_virtual(void)
{
	store_relaxed(&owner, CLAIMED);
}

void weft__clock_pass(int64_t ns)
{
	virtual_now += ns;
}

void weft__clock_reach(int64_t time)
{
	if (virtual_now < time)
		virtual_now = time;
}
