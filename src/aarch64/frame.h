/* SPDX-License-Identifier: MIT */
/* The stack frame of a suspended context. context.S pushes it, and context_asm.c makes the first
 * one. */
#ifndef WEFT_SRC_AARCH64_FRAME_H
#define WEFT_SRC_AARCH64_FRAME_H

#define FRAME_X29  0
#define FRAME_LINK 8
#define FRAME_X19  16
#define FRAME_X20  24
#define FRAME_X21  32
#define FRAME_X22  40
#define FRAME_X23  48
#define FRAME_X24  56
#define FRAME_X25  64
#define FRAME_X26  72
#define FRAME_X27  80
#define FRAME_X28  88
#define FRAME_D8   96
#define FRAME_D9   104
#define FRAME_D10  112
#define FRAME_D11  120
#define FRAME_D12  128
#define FRAME_D13  136
#define FRAME_D14  144
#define FRAME_D15  152
#define FRAME_SIZE 160

#ifndef __ASSEMBLER__

#include <stddef.h>

struct context_frame {
	void *x29;
	void (*link)(void);         /* x30, signed for the stack pointer above this frame */
	void (*entry)(void *value); /* x19: weft__context_start() calls it */
	void *x20_28[9];
	double d8_15[8]; /* the low halves of v8 to v15 are callee-saved */
};

_Static_assert(offsetof(struct context_frame, x29) == FRAME_X29, "context.S");
_Static_assert(offsetof(struct context_frame, link) == FRAME_LINK, "context.S");
_Static_assert(offsetof(struct context_frame, entry) == FRAME_X19, "context.S");
_Static_assert(offsetof(struct context_frame, x20_28) == FRAME_X20, "context.S");
_Static_assert(offsetof(struct context_frame, x20_28[8]) == FRAME_X28, "context.S");
_Static_assert(offsetof(struct context_frame, d8_15) == FRAME_D8, "context.S");
_Static_assert(offsetof(struct context_frame, d8_15[7]) == FRAME_D15, "context.S");
_Static_assert(sizeof(struct context_frame) == FRAME_SIZE, "context.S");

/*
 * weft__context_switch() authenticates every return address that it loads, including this first
 * one. pacia1716 signs x17 with the modifier in x16. It is in the hint space, so it does nothing on
 * a CPU without pointer authentication. The keys belong to the process: any thread may authenticate
 * what another thread signed.
 */
static inline void (*frame_link(void (*start)(void), void *sp))(void)
{
	register void *modifier __asm__("x16") = sp;
	register void (*link)(void) __asm__("x17") = start;

	__asm__("hint #8" : "+r"(link) : "r"(modifier)); /* pacia1716 */
	return link;
}

#endif
#endif
