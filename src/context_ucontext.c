/* SPDX-License-Identifier: MIT */
/*
 * The portable backend. swapcontext() saves and restores the signal mask with a system call each
 * time; so a context is only started by the ucontext calls, and every switch after that is
 * sigsetjmp(env, 0) and siglongjmp(), which leave the mask alone. Where the compiler has both of
 * its builtins of that kind (WEFT_BUILTIN_SETJMP) they are used instead: they save a frame and a
 * stack pointer inline, where the C library's functions mangle addresses and look for cleanup
 * handlers, for some 10 ns a switch.
 *
 * A context is started by the ucontext calls once only. Its first frame saves itself before it
 * calls the entry, and stays intact below all others: a context that is made again continues there,
 * whatever it was doing, without a system call.
 *
 * The ucontext_t is needed for the moment of the start only (it is large, 4.5 KiB on aarch64), so
 * it lies on the stack of whoever starts the context rather than in the context.
 */

/* The checking longjmp of _FORTIFY_SOURCE aborts on a jump to a frame that is not further up the
 * same stack, and ours never is. Before any header: they look at the macro once. */
#undef _FORTIFY_SOURCE

#include "context.h"

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

/* makecontext() passes ints: the context's address comes as two. */
static void trampoline(unsigned high, unsigned low)
{
	struct context *ctx = (struct context *)(uintptr_t)((uint64_t)high << 32 | low);

#if WEFT__CONTEXT_RESTARTS
	/* Every start but the first comes back here. ctx has not changed since: it has the same
	 * value, wherever the compiler keeps it. */
	ctx->started = true;
	(void)SAVE(ctx->bottom);
#endif
	void (*entry)(void *value) = ctx->entry;

	ctx->entry = NULL;
	entry(ctx->value);
	__builtin_trap();
}

/* Not inlined: its frame is large, and nothing of it may be alive when `from` continues. */
WEFT__SAN_LEFT_BY_JUMP __attribute__((noinline, noreturn)) static void
start_first(struct context *to)
{
	ucontext_t fresh;
	uint64_t address = (uintptr_t)to;

	/* Fails never on Linux; the mask that it saves is the current one, which setcontext() sets
	 * again. */
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

/* Not inlined: its jumps are seldom. */
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
	/* In the target, not through a thread-local variable or a global: it is read on the far
	 * side by whoever owns the target then. */
	to->value = value;
	if (SAVE(from->env) != 0)
		return from->value;
#if WEFT__TSAN
	/* ThreadSanitizer keeps the jump buffers of each fiber: sigsetjmp() had to be called in
	 * from's fiber and siglongjmp() has to be in to's. */
	if (to->fiber)
		weft__san_fiber_enter(to->fiber);
#endif
	if (to->entry)
		start(to);
	/* Here, and not in a function of its own: its call would have no return, and every return
	 * of the callers be mispredicted for it. The builtins may be in one function if their
	 * buffers differ. */
	GO(to->env);
}
