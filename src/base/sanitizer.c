/* SPDX-License-Identifier: MIT */
/*
 * The cold parts of sanitizer.h: ThreadSanitizer's fibers.
 *
 * __tsan_create_fiber() orders its caller's past before everything that the fiber does. In the user
 * build that edge would order a coroutine after the thread that happened to start it. So a neutral
 * fiber creates the fibers. It does nothing else and never acquires anything. A thread switches to
 * it without an edge, creates the fiber, and switches back. This happens under a lock, because one
 * fiber can be current on one thread only.
 *
 * The neutral fiber is made for the first coroutine. So all coroutines come after the past of that
 * coroutine's creator, but after no other. Making the neutral fiber when the library is loaded
 * would avoid even that, but the tool counts it as a thread. A daemon that forks before it starts
 * threads would then die in the child with "starting new threads after multi-threaded fork is not
 * supported".
 *
 * A fiber is never reused, because its past stays in its clock.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pthread_getattr_np() */
#endif

#include "sanitizer.h"

#include "atomic.h"
#include "fatal.h"
#include "lockcheck.h"

#include <stdint.h>

#if WEFT__TSAN

#ifdef WEFT_TSAN_USER
#define SWITCH_FLAGS 1 /* __tsan_switch_to_fiber_no_sync */
#else
#define SWITCH_FLAGS 0 /* orders what came before the switch with what comes after */
#endif

/*
 * For a function that switches fibers. If it were instrumented, it would enter on one fiber's
 * shadow call stack and leave on another's. That would underflow the other one.
 */
#if defined(__clang__)
/* no_sanitize("thread") keeps the calls at function entry and exit */
#define NOT_INSTRUMENTED __attribute__((noinline, disable_sanitizer_instrumentation))
#else
/* gcc's attribute drops the calls at function entry and exit too. */
#define NOT_INSTRUMENTED __attribute__((noinline, no_sanitize_thread))
#endif

/* The runtime can hold 8128 (gcc 12 and clang 14), and crashes without a word beyond that. Threads
 * count too. */
#define LIVE_MAX 8000

/* relaxed: a counter that orders nothing */
static _Atomic int live;

NOT_INSTRUMENTED void weft__san_fiber_enter(void *fiber)
{
	__tsan_switch_to_fiber(fiber, SWITCH_FLAGS);
}

static void count_live(void)
{
	if (fetch_add_relaxed(&live, 1) >= LIVE_MAX)
		weft__fatal("ThreadSanitizer's runtime holds no more than about %d live tasks and "
			    "coroutines: run a smaller case under it",
			    LIVE_MAX);
}

#ifdef WEFT_TSAN_USER

static void *neutral;
static atomic_bool neutral_busy;

void weft__san_neutral_lock(void)
{
	WEFT__TAKES(&neutral_busy, WEFT__RANK_NEUTRAL, (void)0);
	/* acquire: pairs with weft__san_neutral_unlock(). The tool does not see it, because the
	 * library is not instrumented. */
	while (exchange_acquire(&neutral_busy, true))
		;
}

void weft__san_neutral_unlock(void)
{
	WEFT__GIVES(&neutral_busy, WEFT__RANK_NEUTRAL, (void)0);
	/* release: pairs with the acquire in weft__san_neutral_lock(). */
	store_release(&neutral_busy, false);
}

static void *neutral_locked(void)
{
	if (!neutral)
		neutral = __tsan_create_fiber(0);
	return neutral;
}

NOT_INSTRUMENTED void *weft__san_fiber_new(void)
{
	void *self = __tsan_get_current_fiber();
	void *fiber;

	count_live();
	/* The lock is released only once this thread has left the fiber. */
	weft__san_neutral_lock();
	__tsan_switch_to_fiber(neutral_locked(), SWITCH_FLAGS);
	fiber = __tsan_create_fiber(0);
	/* Old runtimes crash when a fiber that has never run is destroyed. So each fiber runs
	 * once. */
	__tsan_switch_to_fiber(fiber, SWITCH_FLAGS);
	__tsan_switch_to_fiber(self, SWITCH_FLAGS);
	weft__san_neutral_unlock();
	return fiber;
}

/*
 * The tool's interface for Java heaps can tell it that memory begins a new life. Its free drops the
 * locks and edges in the memory, and its alloc drops the accesses.
 *
 * __tsan_java_init() is deliberately not called. To describe an address in a report, the tool walks
 * that heap downwards from the address, 8 bytes at a time, in search of a block's start. With a
 * heap that covers every stack, the first race on a global variable would never be printed.
 */
void weft__san_forget_stack(char *low, char *top)
{
	unsigned long addr = (unsigned long)(uintptr_t)low;
	unsigned long size = (unsigned long)(top - low) & ~7UL;

	__tsan_java_free(addr, size);
	__tsan_java_alloc(addr, size);
}

#else

NOT_INSTRUMENTED void *weft__san_fiber_new(void)
{
	void *self = __tsan_get_current_fiber();
	void *fiber;

	count_live();
	fiber = __tsan_create_fiber(0);
	/* Old runtimes crash when a fiber that has never run is destroyed. So each fiber runs
	 * once. */
	__tsan_switch_to_fiber(fiber, SWITCH_FLAGS);
	__tsan_switch_to_fiber(self, SWITCH_FLAGS);
	return fiber;
}

#endif

void weft__san_fiber_free(void *fiber)
{
	__tsan_destroy_fiber(fiber);
	fetch_sub_relaxed(&live, 1);
}

#endif

#if WEFT__ASAN

#include <pthread.h>

/* Records the bounds of the leader's stack. The tool needs them when a thread switches to it. */
void weft__san_leader_bounds(struct coro_sanitizer *san)
{
	pthread_attr_t attr;
	void *low;
	size_t size;

	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		weft__fatal("AddressSanitizer needs the bounds of each thread's stack, and "
			    "pthread_getattr_np() failed");
	pthread_attr_getstack(&attr, &low, &size);
	pthread_attr_destroy(&attr);
	san->fake_stack = NULL;
	san->bottom = low;
	san->size = size;
}

/*
 * Frees the fake stack of a coroutine that will never run again. The tool frees a fake stack only
 * for a fiber that leaves for good. So this thread plays that fiber for a moment, without leaving
 * its own stack. Not sanitized: its own frame must not be in a fake stack that changes meanwhile.
 */
__attribute__((noinline, no_sanitize_address)) void
weft__san_drop_fake_stack(struct coro_sanitizer *self, void *fake_stack)
{
	void *own;

	__sanitizer_start_switch_fiber(&own, self->bottom, self->size);
	__sanitizer_finish_switch_fiber(fake_stack, NULL, NULL);
	__sanitizer_start_switch_fiber(NULL, self->bottom, self->size);
	__sanitizer_finish_switch_fiber(own, NULL, NULL);
}

#endif
