/* SPDX-License-Identifier: MIT */
/*
 * A machine context: the place where a suspended flow of control continues. There is one contract
 * and several backends. The build chooses one backend:
 *
 *   WEFT_CONTEXT_ASM       x86_64/context.S or aarch64/context.S. A switch saves the callee-saved
 *                          registers on the stack. The context is a stack pointer.
 *   WEFT_CONTEXT_UCONTEXT  context_ucontext.c. It works on any POSIX system.
 *
 * A switch preserves what a function call preserves: the callee-saved registers and the stack
 * pointer. The caller saves all other per-thread state, such as errno and the floating-point
 * control words (coro.c). A switch does not touch the signal mask, because changing it takes a
 * system call.
 */
#ifndef WEFT_SRC_CONTEXT_H
#define WEFT_SRC_CONTEXT_H

#include "src/base/compiler.h"
#include "src/base/sanitizer.h"

#if defined(WEFT_CONTEXT_ASM)

struct context {
	/* Valid while the context is suspended. Points to a struct context_frame (x86_64/frame.h,
	 * aarch64/frame.h). */
	void *sp;
};

#define WEFT__CONTEXT_RESTARTS 0 /* making a context anew costs a few stores */

#elif defined(WEFT_CONTEXT_UCONTEXT)

#include <stdbool.h>

/* How a context that has run is saved. */
#if defined(WEFT_BUILTIN_SETJMP) && !WEFT__TSAN && !WEFT__ASAN
#define WEFT__CONTEXT_BUILTIN 1
typedef void *weft__jump[5];
#else
#define WEFT__CONTEXT_BUILTIN 0
#include <setjmp.h>
typedef sigjmp_buf weft__jump;
#endif

/* Whether a context that has run can be started again without a system call. Under AddressSanitizer
 * it cannot, because the tool removes the fake stack of the bottom frame. Under ThreadSanitizer it
 * cannot either, because a fiber is never used twice. */
#define WEFT__CONTEXT_RESTARTS (!WEFT__TSAN && !WEFT__ASAN)

struct context {
	weft__jump env;              /* valid once the context has run */
#if WEFT__CONTEXT_RESTARTS
	weft__jump bottom;           /* the first frame, about to call .entry */
	bool started;                /* .bottom is valid */
#endif
	void *value;                 /* passed by the resumer to the resumed context */
	void (*entry)(void *value);  /* NULL once the context has started */
	char *stack_low, *stack_top; /* valid until the context has started */
#if WEFT__TSAN
	/* The fiber to enter between our sigsetjmp() and the siglongjmp() to this context. The tool
	 * intercepts both calls. */
	void *fiber;
#endif
};

#else
#error "The build must define WEFT_CONTEXT_ASM or WEFT_CONTEXT_UCONTEXT."
#endif

/*
 * Makes a context for the stack [stack_low, stack_top). The first switch to it calls entry(value)
 * with the value of that switch. entry must not return. A context holds no resources: the caller
 * may drop it together with its stack.
 */
void weft__context_make(struct context *ctx, void *stack_low, void *stack_top,
			void (*entry)(void *value));

/* Makes the context again, on the same stack and with the same entry. The context may have run. Its
 * frames are dropped. */
#if WEFT__CONTEXT_RESTARTS
void weft__context_make_again(struct context *ctx, void *stack_low, void *stack_top,
			      void (*entry)(void *value));
#else
#define weft__context_make_again weft__context_make
#endif

/*
 * Saves the caller's place in `from` and continues `to`. Returns the value of the next switch to
 * `from`, possibly on another thread. `from` need not be initialised. No thread may continue `from`
 * before this switch is complete, that is, before code running in `to` permits it.
 */
WEFT__MAY_HOP void *weft__context_switch(struct context *from, struct context *to, void *value);

/* Like weft__context_switch(), for a caller that suspends all its contexts in the same place. The
 * CPU then predicts the returns. */
#if defined(WEFT_CONTEXT_ASM)
WEFT__MAY_HOP void *weft__context_switch_alike(struct context *from, struct context *to,
					       void *value);
#else
#define weft__context_switch_alike weft__context_switch
#endif

/*
 * The fast path for contexts that need not be saved.
 *
 * weft__context_enter() saves the caller's place in `from`. It then calls entry(value) on the stack
 * below `top`, whatever that stack held. `top` is aligned to 16.
 *
 * weft__context_jump() continues `to` like weft__context_switch(), but saves nothing. It should be
 * the last call of entry, which makes it a jump.
 */
#if defined(WEFT_CONTEXT_ASM) && defined(__x86_64__) && !WEFT__ASAN && !WEFT__TSAN
#define WEFT__CONTEXT_JUMPS 1
WEFT__MAY_HOP void *weft__context_enter(struct context *from, void *top, void *value,
					void (*entry)(void *value));
WEFT__MAY_HOP void *weft__context_jump(struct context *to, void *value);
#else
#define WEFT__CONTEXT_JUMPS 0
#endif

#if defined(WEFT_CONTEXT_ASM)
/* The same code, for a value that is an int. Converting the result would prevent a tail jump. */
WEFT__MAY_HOP int weft__context_switch_int(struct context *from, struct context *to, void *value);
#endif

#endif
