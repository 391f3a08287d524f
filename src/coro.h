/* SPDX-License-Identifier: MIT */
/*
 * The coroutine as the layers above see it: something that can be switched to. The scheduler
 * switches symmetrically with weft__coro_switch(); weft_coro_enter() and weft_coro_yield() (coro.c)
 * are the asymmetric pair built on the same switch.
 */
#ifndef WEFT_SRC_CORO_H
#define WEFT_SRC_CORO_H

#include "context.h"
#include "fpwords.h"
#include "sanitizer.h"
#include "stack.h"
#include "tls.h"

#include <weft/coro.h>

#include <stdbool.h>
#include <stdint.h>

/* What the bottom frame of a coroutine runs. `value` is that of the first switch to it, or of each
 * weft__coro_start(). Must never return. */
typedef void weft__coro_main(void *value);

/*
 * Lives in the topmost used page of its own stack (a leader's: in its thread's TLS). All fields
 * belong to whoever runs the coroutine or, while it is suspended, to whoever may resume it.
 */
struct coro {
	struct context context; /* valid while suspended */
	struct fpwords fpwords; /* control words while suspended */
	int saved_errno;        /* errno while suspended */
	unsigned eh_uncaught;   /* the C++ runtime's per-thread state while suspended */
	void *eh_caught;
	struct coro *caller; /* who entered it: non-NULL only for a weft_coro that runs */
	struct stack stack;  /* .low and .top bound the usable bytes; a leader's are 0 */
	struct coro *next;   /* free for whoever owns the suspended coroutine, to link it */
	struct coro *chain;  /* the same, to link a list's first to another list */
	bool cool;           /* by its worker: of its stack the uppermost pages alone have memory */
	struct coro_sanitizer sanitizer;
};

/* How many lines of a stack coro_prefetch() has loaded: what the switch takes from there, and the
 * frame that called it. */
#define WEFT__HINT_LINES 3

/*
 * What coro_prefetch() needs to know of a suspended coroutine: its address and, in the bits that
 * are 0 in that, how many lines of its stack are in use; 0 if they are more than fit there. By who
 * owns it.
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

/* The same where its header is not to be looked at: as if six lines of its stack were
 * in use. */
static inline uintptr_t coro_hint_cold(const struct coro *co)
{
	return (uintptr_t)co | 6;
}

/*
 * Has the lines loaded that a switch to a coroutine touches. The coroutine may be gone: nothing is
 * read, and a prefetch does not fault. (Inlined always: gcc 12 takes a function that only
 * prefetches for one without effect, and drops the call.)
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
 * A coroutine that will run main(value) when it is first switched to, with errno 0 and the default
 * floating-point environment. NULL: no stack could be had.
 */
struct coro *weft__coro_new(size_t stack_size, bool guard, weft__coro_main *main);

/* Makes a coroutine that was left by weft__coro_leave() one that weft__coro_switch() may start: in
 * main(value). */
void weft__coro_renew(struct coro *co, weft__coro_main *main);

/* Gives back the stack of a coroutine that is suspended, was left, or was never started. Its frames
 * are dropped. */
void weft__coro_free(struct coro *co);

/* The same, by weft__stack_free_lazily(). */
void weft__coro_free_lazily(struct coro *co);

/*
 * Suspends the current coroutine of this thread and resumes `to` with `value`. Returns, perhaps on
 * another thread, the value that is passed to the next switch to it. Not inlined; TLS is read
 * before the stack pointer changes and not afterwards. Async-signal-unsafe.
 *
 * Nobody may resume the suspended coroutine before its context is saved, that is, before `to` (or
 * what runs after it on this thread) says so.
 */
void *weft__coro_switch(struct coro *to, void *value);

/* The same for a caller that has weft__thread() at hand, for this thread, which it is not to use
 * afterwards. */
void *weft__coro_switch_on(struct weft__thread *th, struct coro *to, void *value);

/*
 * As weft__coro_switch_on(), to a coroutine that is new or was left by weft__coro_leave(): it runs
 * main(value), with errno 0 and the default floating-point environment. main must be what the
 * coroutine was made with.
 */
void *weft__coro_start(struct weft__thread *th, struct coro *co, void *value,
		       weft__coro_main *main);

/*
 * Leaves the current coroutine, which has come to the end of its main, for `to`. With
 * WEFT__CONTEXT_LEAVES it should be the last call of main, and does not return. Else it returns
 * when the coroutine is started again, with that start's value, and main is to begin anew.
 */
void *weft__coro_leave(struct weft__thread *th, struct coro *to, void *value);

/* Whether the C++ runtime's state says that an exception is handled or on its way. */
static inline bool eh_in_flight(const struct eh_globals *eh)
{
	return ((uintptr_t)eh->caught | eh->uncaught) != 0;
}

/* errno 0 and the default floating-point environment: what a task starts with on a stack that
 * another one used. th: the thread's own. */
void weft__coro_reset_environment(struct weft__thread *th);

/* Makes the calling thread's leader usable (errno's address, sanitizer state). Idempotent and
 * cheap. */
void weft__coro_thread_init(void);

/*
 * Around a task that runs on somebody else's stack: in between weft_coro_inside() is false, also on
 * a generator's stack. The end is reached in the same coroutine, perhaps on another thread, and
 * gets what the beginning returned.
 */
struct coro *weft__coro_boundary_begin(void);
void weft__coro_boundary_end(struct coro *saved);

#endif
