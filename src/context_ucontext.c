/* SPDX-License-Identifier: MIT */
/*
 * The portable backend.
 *
 * swapcontext() saves and restores the signal mask with a system call each time. So this backend
 * uses the ucontext calls only to start a context. Every later switch is sigsetjmp(env, 0) and
 * siglongjmp(), which leave the mask alone. If the compiler has both builtins of that kind
 * (WEFT_BUILTIN_SETJMP), the backend uses them instead. They save a frame and a stack pointer
 * inline. The C library's functions mangle addresses and look for cleanup handlers, which costs
 * some 10 ns a switch.
 *
 * The ucontext calls start a context only once. Its first frame saves itself before it calls the
 * entry, and stays intact below all other frames. A context that is made again continues there,
 * without a system call, whatever it was doing.
 *
 * The ucontext_t is needed only during the start, and it is large: 4.5 KiB on aarch64. So it lies
 * on the stack of the thread that starts the context, not in the context.
 */

/* The checking longjmp of _FORTIFY_SOURCE aborts on a jump to a frame that is not further up the
 * same stack. Our target frame never is. The headers look at the macro once, so we undefine it
 * before any of them. */
#undef _FORTIFY_SOURCE

#include "context.h"
#include "src/base/compiler.h"

#include <stdint.h>
#include <ucontext.h>

#if WEFT__CONTEXT_BUILTIN
#define SAVE(jump) __builtin_setjmp(jump)
#define GO(jump)   __builtin_longjmp(jump, 1)
#else
#define SAVE(jump) sigsetjmp(jump, 0)
#define GO(jump)   siglongjmp(jump, 1)
#endif

void weft__context_make(struct context *ctx, void *stack_low, void *stack_top,
			void (*entry)(void *value))
{
	ctx->entry = entry;
	ctx->stack_low = stack_low;
	ctx->stack_top = stack_top;
	ctx->value = NULL;
#if WEFT__TSAN
	ctx->fiber = NULL;
#endif
#if WEFT__CONTEXT_RESTARTS
	ctx->started = false;
#endif
}

#if WEFT__CONTEXT_RESTARTS
void weft__context_make_again(struct context *ctx, void *stack_low, void *stack_top,
			      void (*entry)(void *value))
{
	(void)stack_low;
	(void)stack_top;
	ctx->entry = entry;
}
#endif

/* makecontext() passes ints, so the context's address arrives in two halves. */
static WEFT__MAY_HOP void trampoline(unsigned high, unsigned low)
{
	struct context *ctx = (struct context *)(uintptr_t)((uint64_t)high << 32 | low);

#if WEFT__CONTEXT_RESTARTS
	/* Every start except the first comes back here. ctx has not changed in between, so it has
	 * the same value wherever the compiler keeps it. */
	ctx->started = true;
	(void)SAVE(ctx->bottom);
#endif
	void (*entry)(void *value) = ctx->entry;

	ctx->entry = NULL;
	entry(ctx->value);
	__builtin_trap();
}

/* Not inlined. The frame is large, and nothing in it may be live when `from` continues. */
WEFT__SAN_LEFT_BY_JUMP __attribute__((noinline, noreturn)) static void
start_first(struct context *to)
{
	ucontext_t fresh;
	uint64_t address = (uintptr_t)to;

	/* getcontext() never fails on Linux. It saves the current mask, and setcontext() sets that
	 * same mask again. */
	if (getcontext(&fresh) != 0)
		__builtin_trap();
	fresh.uc_stack.ss_sp = to->stack_low;
	fresh.uc_stack.ss_size = (size_t)(to->stack_top - to->stack_low);
	fresh.uc_link = NULL;
	makecontext(&fresh, (void (*)(void))trampoline, 2, (unsigned)(address >> 32),
		    (unsigned)address);
	setcontext(&fresh);
	__builtin_trap();
}

/* Not inlined, because its jumps are rare. */
__attribute__((noinline, noreturn)) static void start(struct context *to)
{
#if WEFT__CONTEXT_RESTARTS
	if (to->started)
		GO(to->bottom);
#endif
	start_first(to);
}

void *weft__context_switch(struct context *from, struct context *to, void *value)
{
	from->entry = NULL;
	/* The value goes into the target, not through a thread-local variable or a global. The
	 * thread that owns the target by then reads it. */
	to->value = value;
	if (SAVE(from->env) != 0)
		return from->value;
#if WEFT__TSAN
	/* ThreadSanitizer keeps the jump buffers of each fiber. So sigsetjmp() must run in from's
	 * fiber and siglongjmp() in to's. */
	if (to->fiber)
		weft__san_fiber_enter(to->fiber);
#endif
	if (to->entry)
		start(to);
	/* This jump stands here and not in a function of its own. The call of such a function would
	 * never return, and the CPU would then mispredict every return of the callers. Both
	 * builtins may stand in one function if their buffers differ. */
	GO(to->env);
}
