/* SPDX-License-Identifier: MIT */
/* The stack frame of a suspended context. context.S pushes it, and context_asm.c makes the first
 * one. */
#ifndef WEFT_SRC_X86_64_FRAME_H
#define WEFT_SRC_X86_64_FRAME_H

#define FRAME_R15  0
#define FRAME_R14  8
#define FRAME_R13  16
#define FRAME_R12  24
#define FRAME_RBX  32
#define FRAME_RBP  40
#define FRAME_LINK 48
#define FRAME_SIZE 56

#ifndef __ASSEMBLER__

#include <stddef.h>

struct context_frame {
	void *r15, *r14, *r13, *r12;
	void (*entry)(void *value); /* rbx: weft__context_start() calls it */
	void *rbp;
	void (*link)(void); /* the return address */
};

_Static_assert(offsetof(struct context_frame, r15) == FRAME_R15, "context.S");
_Static_assert(offsetof(struct context_frame, r14) == FRAME_R14, "context.S");
_Static_assert(offsetof(struct context_frame, r13) == FRAME_R13, "context.S");
_Static_assert(offsetof(struct context_frame, r12) == FRAME_R12, "context.S");
_Static_assert(offsetof(struct context_frame, entry) == FRAME_RBX, "context.S");
_Static_assert(offsetof(struct context_frame, rbp) == FRAME_RBP, "context.S");
_Static_assert(offsetof(struct context_frame, link) == FRAME_LINK, "context.S");
_Static_assert(sizeof(struct context_frame) == FRAME_SIZE, "context.S");

static inline void (*frame_link(void (*start)(void), void *sp))(void)
{
	(void)sp;
	return start;
}

#endif
#endif
