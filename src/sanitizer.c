/* SPDX-License-Identifier: MIT */
/*
 * The cold parts of sanitizer.h.
 *
 * ThreadSanitizer's fibers. __tsan_create_fiber() orders what its caller did before all that the
 * fiber does. In the user build that edge would order a coroutine after whoever happened to start
 * it. So fibers are created by a neutral fiber, which does nothing else and never acquires
 * anything: a thread switches to it without an edge, creates, and switches back, under a lock,
 * since one fiber can be current on one thread only. It is made for the first coroutine, whose
 * creator's past is thus the only one that all coroutines come after. Making it when the library is
 * loaded would avoid even that, but the tool counts it as a thread: a process that forks before it
 * starts threads (a daemon) would die in the child with "starting new threads after multi-threaded
 * fork is not supported".
 *
 * A fiber is never reused: what it did stays in its clock.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pthread_getattr_np() */
#endif

#include "sanitizer.h"

#include "coro.h"
#include "fatal.h"

#include <stdatomic.h>
#include <stdint.h>

#if WEFT__TSAN

#ifdef WEFT_TSAN_USER
#define SWITCH_FLAGS 1 /* __tsan_switch_to_fiber_no_sync */
#else
#define SWITCH_FLAGS 0 /* what was before the switch happens before what comes after it */
#endif

/*
 * An instrumented function enters on one fiber's shadow call stack and would leave on another's,
 * which underflows it.
 */
#if defined(__clang__)
/* no_sanitize("thread") keeps the calls at function entry and exit */
#define NOT_INSTRUMENTED __attribute__((noinline, disable_sanitizer_instrumentation))
#else
/* gcc: drops the calls at function entry and exit too */
#define NOT_INSTRUMENTED __attribute__((noinline, no_sanitize_thread))
#endif

/* Beyond what the runtime can hold (8128, gcc 12 and clang 14), it crashes without a word. Threads
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
	if (atomic_fetch_add_explicit(&live, 1, memory_order_relaxed) >= LIVE_MAX)
		weft__fatal("ThreadSanitizer's runtime holds no more than about %d live tasks and "
			    "coroutines: run a smaller case under it",
			    LIVE_MAX);
}

#ifdef WEFT_TSAN_USER

static void *neutral;
static atomic_flag neutral_busy = ATOMIC_FLAG_INIT;

void weft__san_neutral_lock(void)
{
	/* acquire: pairs with weft__san_neutral_unlock(). The tool does not see it, as the library
	 * is not instrumented. */
	while (atomic_flag_test_and_set_explicit(&neutral_busy, memory_order_acquire))
		;
}

void weft__san_neutral_unlock(void)
{
	/* release: pairs with the acquire in weft__san_neutral_lock(). */
	atomic_flag_clear_explicit(&neutral_busy, memory_order_release);
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
	/* Released only once this thread has left the fiber. */
	weft__san_neutral_lock();
	__tsan_switch_to_fiber(neutral_locked(), SWITCH_FLAGS);
	fiber = __tsan_create_fiber(0);
	/* Old runtimes crash when a fiber is destroyed that has never run: so each does. */
	__tsan_switch_to_fiber(fiber, SWITCH_FLAGS);
	__tsan_switch_to_fiber(self, SWITCH_FLAGS);
	weft__san_neutral_unlock();
	return fiber;
}

/*
 * The tool's interface for Java heaps is how one tells it that memory begins a new life: free drops
 * the locks and edges that lie there, alloc the accesses. __tsan_java_init() is not called, on
 * purpose: to describe an address in a report the tool then walks that heap downwards from the
 * address, 8 bytes at a time, in search of a block's start; with a heap that covers every stack,
 * the first race on a global variable is never printed.
 */
void weft__san_forget_stack(char *low, char *top)
{
	unsigned long addr = (unsigned long)(uintptr_t)low;
	unsigned long size = (unsigned long)(top - low) & ~7UL;

	__tsan_java_free(addr, size);
	__tsan_java_alloc(addr, size);
}

__attribute__((noinline)) void *weft__san_task_begin(void)
{
	void *previous = __tsan_get_current_fiber();
	void *fiber = weft__san_fiber_new();
	char *low = weft__thread()->current->stack.low;
	char *frame = __builtin_frame_address(0);

	/* A leader's bounds are not known, and nothing starts on it. */
	if (low)
		weft__san_forget_stack(low, frame);
	san_errno_passes_on(weft__thread()->errno_location);
	weft__san_fiber_enter(fiber);
	return previous;
}

__attribute__((noinline)) void weft__san_task_end(void *previous)
{
	void *ended = __tsan_get_current_fiber();

	/* This thread's, which is perhaps not the one that the task began on. */
	san_errno_passes_on(weft__thread()->errno_location);
	weft__san_fiber_enter(previous);
	weft__san_fiber_free(ended);
}

#else

NOT_INSTRUMENTED void *weft__san_fiber_new(void)
{
	void *self = __tsan_get_current_fiber();
	void *fiber;

	count_live();
	fiber = __tsan_create_fiber(0);
	/* Old runtimes crash when a fiber is destroyed that has never run: so each does. */
	__tsan_switch_to_fiber(fiber, SWITCH_FLAGS);
	__tsan_switch_to_fiber(self, SWITCH_FLAGS);
	return fiber;
}

#endif

void weft__san_fiber_free(void *fiber)
{
	__tsan_destroy_fiber(fiber);
	atomic_fetch_sub_explicit(&live, 1, memory_order_relaxed);
}

#endif

#if WEFT__ASAN

#include <pthread.h>

/* The leader's stack, which the tool must be told when it is switched to. */
void weft__san_leader_bounds(struct coro_sanitizer *san)
{
	pthread_attr_t attr;
	void *low;
	size_t size;

	if (pthread_getattr_np(pthread_self(), &attr) != 0)
		weft__fatal("AddressSanitizer: a thread's stack is not known");
	pthread_attr_getstack(&attr, &low, &size);
	pthread_attr_destroy(&attr);
	san->fake_stack = NULL;
	san->bottom = low;
	san->size = size;
}

/*
 * Frees the fake stack of a coroutine that will never run again. The tool frees one only for a
 * fiber that says that it leaves for good, so this thread plays that fiber for a moment, without
 * leaving its own stack.
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
