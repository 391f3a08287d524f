/* SPDX-License-Identifier: MIT */
/*
 * The coroutine as the layers above see it: an object that a thread can switch to. The scheduler
 * switches symmetrically with weft__coro_switch(). The asymmetric pair weft_coro_enter() and
 * weft_coro_yield() (coro.c) uses the same switch.
 */
#ifndef WEFT_SRC_CORO_H
#define WEFT_SRC_CORO_H

#include "coro_header.h"
#include "src/base/compiler.h"
#include "src/stack/stack.h"
#include "tls.h"

#include <weft/coro.h>

#include <stdbool.h>
#include <stdint.h>

/* The bottom frame of a coroutine runs this function. `value` comes from the first switch to the
 * coroutine, or from each weft__coro_start(). It must never return. */
typedef void weft__coro_main(void *value);

/* How many lines of a stack coro_prefetch() loads: the lines that the switch reads, and the
 * caller's frame. */
#define WEFT__HINT_LINES 3

/*
 * The hint that coro_prefetch() needs about a suspended coroutine. It is the coroutine's address.
 * The low bits of that address are 0, and the hint uses them for the number of stack lines in use.
 * If the number does not fit, they are 0. Called by the coroutine's owner.
 */
static inline uintptr_t coro_hint(const struct coro *co)
{
#if defined(WEFT_CONTEXT_ASM)
	uintptr_t lines = ((uintptr_t)co - (uintptr_t)co->context.sp + WEFT__STACK_COLOUR - 1) /
			  WEFT__STACK_COLOUR;

	return (uintptr_t)co | (lines < WEFT__STACK_COLOUR ? lines : 0);
#else
	return (uintptr_t)co;
#endif
}

/* The same hint without a look at the header. It assumes that six lines of the stack are in use. */
static inline uintptr_t coro_hint_cold(const struct coro *co)
{
	return (uintptr_t)co | 6;
}

/*
 * Prefetches the lines that a switch to the coroutine touches. The coroutine may no longer exist:
 * this function reads nothing, and a prefetch does not fault.
 *
 * It is always inlined. gcc 12 sees no effect in a function that only prefetches, and drops the
 * call.
 */
static inline __attribute__((always_inline)) void coro_prefetch(uintptr_t hint)
{
	uintptr_t header = hint & ~(uintptr_t)(WEFT__STACK_COLOUR - 1);
	uintptr_t frame = header - (hint - header) * WEFT__STACK_COLOUR;

	__builtin_prefetch((const void *)header, 1);
	for (unsigned i = 0; i < WEFT__HINT_LINES; i++)
		__builtin_prefetch((const void *)(frame + i * WEFT__STACK_COLOUR), 1);
}

/*
 * Makes a coroutine that runs main(value) when it is first switched to, with errno 0 and the
 * default floating-point environment. Returns NULL if no stack is available.
 */
struct coro *weft__coro_new(size_t stack_size, bool guard, weft__coro_main *main);

/* Prepares a coroutine that has ended by weft__coro_jump() for another weft__coro_switch(), which
 * then starts main(value). */
void weft__coro_renew(struct coro *co, weft__coro_main *main);

/* Gives back the stack of a coroutine that is suspended, has jumped away, or was never started.
 * Drops its frames. */
void weft__coro_free(struct coro *co);

/* The same, with weft__stack_free_lazily(). */
void weft__coro_free_lazily(struct coro *co);

/*
 * Suspends the current coroutine of this thread and resumes `to` with `value`. Returns the value of
 * the next switch to the suspended coroutine, perhaps on another thread. Not inlined. It reads TLS
 * before the stack pointer changes, and never afterwards. Not async-signal-safe.
 *
 * No thread may resume the suspended coroutine before its context is saved. Only code that runs on
 * this thread after the switch may permit it: `to`, or a coroutine that follows `to`.
 */
WEFT__MAY_HOP void *weft__coro_switch(struct coro *to, void *value);

/* The same for a caller that already has this thread's weft__thread(). The caller must not use that
 * pointer afterwards. */
WEFT__MAY_HOP void *weft__coro_switch_on(struct weft__thread *th, struct coro *to, void *value);

/*
 * Like weft__coro_switch_on(), but for a coroutine that is new or has ended by weft__coro_jump().
 * It runs main(value), with errno 0 and the default floating-point environment. main must be the
 * function that the coroutine was made with.
 */
WEFT__MAY_HOP void *weft__coro_start(struct weft__thread *th, struct coro *co, void *value,
				     weft__coro_main *main);

/*
 * Continues `to`, and does not save the current coroutine, which has reached the end of its main.
 *
 * With WEFT__CONTEXT_JUMPS it should be the last call of main, and it does not return. Without
 * WEFT__CONTEXT_JUMPS it returns when the coroutine is started again. It then returns the value of
 * that start, and main must begin anew.
 */
WEFT__MAY_HOP void *weft__coro_jump(struct weft__thread *th, struct coro *to, void *value);

/* Whether the C++ runtime's state says that an exception is being handled or is in flight. */
static inline bool eh_in_flight(const struct eh_globals *eh)
{
	return ((uintptr_t)eh->caught | eh->uncaught) != 0;
}

/* Sets errno to 0 and the default floating-point environment. A task starts with these on a stack
 * that another task used. th is the calling thread's own. */
void weft__coro_reset_environment(struct weft__thread *th);

/* Prepares the calling thread's leader: the address of errno and the sanitizer state. Idempotent
 * and cheap. */
void weft__coro_thread_init(void);

/*
 * The boundary around a task that runs on another coroutine's stack. Between begin and end
 * weft_coro_inside() is false, even on a generator's stack. The same coroutine calls end, perhaps
 * on another thread. It passes the value that begin returned.
 */
struct coro *weft__coro_boundary_begin(void);
void weft__coro_boundary_end(struct coro *saved);

#endif
