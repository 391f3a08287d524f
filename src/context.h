/* SPDX-License-Identifier: MIT */
/*
 * A machine context: where a suspended flow of control continues. One contract, several backends,
 * of which the build chooses one:
 *
 *   WEFT_CONTEXT_ASM       x86_64/context.S or aarch64/context.S: the callee-saved registers go to the stack, the
 *                          context is a stack pointer.
 *   WEFT_CONTEXT_UCONTEXT  context_ucontext.c: any POSIX system.
 *
 * What a switch preserves is what a function call preserves: callee-saved registers and the stack
 * pointer. errno, floating-point control words and everything else that the system calls per-thread
 * are the caller's care (coro.c). The signal mask is left alone: changing it would be a system
 * call.
 */
#ifndef WEFT_SRC_CONTEXT_H
#define WEFT_SRC_CONTEXT_H

#include "sanitizer.h"

#if defined(WEFT_CONTEXT_ASM)

struct context {
	/* of a suspended context; points to a struct context_frame (x86_64/frame.h,
	 * aarch64/frame.h) */
	void *sp;
};

#define WEFT__CONTEXT_RESTARTS 0 /* making one anew costs a few stores */

#elif defined(WEFT_CONTEXT_UCONTEXT)

#include <stdbool.h>

/* How a context is saved once it runs. */
#if defined(WEFT_BUILTIN_SETJMP) && !WEFT__TSAN && !WEFT__ASAN
#define WEFT__CONTEXT_BUILTIN 1
typedef void *weft__jump[5];
#else
#define WEFT__CONTEXT_BUILTIN 0
#include <setjmp.h>
typedef sigjmp_buf weft__jump;
#endif

/* Whether a context that has run can be started again without a system call. AddressSanitizer takes
 * the bottom frame away (its fake stack), ThreadSanitizer's fibers are not used twice. */
#define WEFT__CONTEXT_RESTARTS (!WEFT__TSAN && !WEFT__ASAN)

struct context {
	weft__jump env;              /* once it has run */
#if WEFT__CONTEXT_RESTARTS
	weft__jump bottom;           /* its first frame, about to call .entry */
	bool started;                /* .bottom is valid */
#endif
	void *value;                 /* from whoever resumes it to the one resumed */
	void (*entry)(void *value);  /* NULL once it has started */
	char *stack_low, *stack_top; /* until it has started */
#if WEFT__TSAN
	/* to be entered between our sigsetjmp and the siglongjmp to it: both are intercepted */
	void *fiber;
#endif
};

#else
#error "The build must define WEFT_CONTEXT_ASM or WEFT_CONTEXT_UCONTEXT."
#endif

/*
 * Makes a context that calls entry(value) on the stack [stack_low, stack_top) when it is first
 * switched to, with that switch's value. entry must not return. A context needs no undoing: forget
 * it together with its stack.
 */
void weft__context_make(struct context *ctx, void *stack_low, void *stack_top,
			void (*entry)(void *value));

/* The same for a context that has been made, on the same stack with the same entry, and may have
 * run: what it was doing is forgotten. */
#if WEFT__CONTEXT_RESTARTS
void weft__context_make_again(struct context *ctx, void *stack_low, void *stack_top,
			      void (*entry)(void *value));
#else
#define weft__context_make_again weft__context_make
#endif

/*
 * Saves where it was called in `from` and continues `to`. Returns, possibly on another thread, the
 * value of the next switch to `from`. `from` need not be initialised. Nobody may continue `from`
 * before this switch is done, that is, before code that runs in `to` says so.
 */
void *weft__context_switch(struct context *from, struct context *to, void *value);

/* As weft__context_switch(), for a caller whose contexts are all suspended in the same place:
 * returns are predicted then. */
#if defined(WEFT_CONTEXT_ASM)
void *weft__context_switch_alike(struct context *from, struct context *to, void *value);
#else
#define weft__context_switch_alike weft__context_switch
#endif

/*
 * Where contexts can be left without being saved: weft__context_enter() saves where it was called
 * in `from` and calls entry(value) on the stack below `top`, aligned to 16, whatever was there.
 * weft__context_leave() continues `to` like weft__context_switch(), from a context that is saved
 * nowhere; it should be the last thing that entry does, so that it is called by a jump.
 */
#if defined(WEFT_CONTEXT_ASM) && defined(__x86_64__) && !WEFT__ASAN && !WEFT__TSAN
#define WEFT__CONTEXT_LEAVES 1
void *weft__context_enter(struct context *from, void *top, void *value, void (*entry)(void *value));
void *weft__context_leave(struct context *to, void *value);
#else
#define WEFT__CONTEXT_LEAVES 0
#endif

#if defined(WEFT_CONTEXT_ASM)
/* The same code, for a value that is an int: a conversion of the result would stand in the way of a
 * tail jump. */
int weft__context_switch_int(struct context *from, struct context *to, void *value);
#endif

#endif
