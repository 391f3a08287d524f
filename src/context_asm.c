/* SPDX-License-Identifier: MIT */
/* The C part of the assembly backends. It builds the first frame of a context, as if the context
 * had been suspended. */
#include "context.h"
#include "src/base/compiler.h"

#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include "x86_64/frame.h"
#elif defined(__aarch64__)
#include "aarch64/frame.h"
#else
#error "No assembly backend for this CPU: configure with -Dcontext=ucontext."
#endif

/* The bottom of every context's stack (context.S). Calls the entry that the frame holds. C code
 * must not call it. */
extern WEFT__MAY_HOP void weft__context_start(void);

void weft__context_make(struct context *ctx, void *stack_low, void *stack_top,
			void (*entry)(void *value))
{
	/* Both ABIs want the stack aligned to 16 at a call. */
	char *top = (char *)stack_top - ((uintptr_t)stack_top & 15);
	struct context_frame *frame = (struct context_frame *)(top - FRAME_SIZE);

	(void)stack_low; /* for the backend that passes it to makecontext() */
	/* A frame pointer of 0 ends the chain for unwinders that follow it. */
	memset(frame, 0, sizeof(*frame));
	frame->entry = entry;
	frame->link = frame_link(weft__context_start, top);
	ctx->sp = frame;
}
