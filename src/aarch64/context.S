/* SPDX-License-Identifier: MIT */
/*
 * The AAPCS64 backend of context.h.
 *
 * A switch returns with `ret`. With branch target identification an indirect jump must land on a
 * `bti` instruction, but the targets here follow a call.
 *
 * The saved return address is signed (paciasp, which is also a landing pad). The modifier is the
 * value of the stack pointer outside of the frame. So a context cannot continue on another stack
 * than the one it was suspended on.
 *
 * coro.c handles fpcr.
 *
 * The CFI is valid at every instruction, because the frame has the same shape before and after the
 * stack pointer changes.
 */
#include "frame.h"

	.text
	.globl	weft__context_switch
	.hidden	weft__context_switch
	.type	weft__context_switch, %function
	.globl	weft__context_switch_int
	.hidden	weft__context_switch_int
	.type	weft__context_switch_int, %function
	.globl	weft__context_switch_alike
	.hidden	weft__context_switch_alike
	.type	weft__context_switch_alike, %function
	.balign	16
/* x0: from, x1: to, x2: value */
weft__context_switch:
weft__context_switch_int:
weft__context_switch_alike:
	.cfi_startproc
	hint	#25 /* paciasp */
	.cfi_negate_ra_state
	stp	x29, x30, [sp, #-FRAME_SIZE]!
	.cfi_adjust_cfa_offset FRAME_SIZE
	.cfi_rel_offset x29, FRAME_X29
	.cfi_rel_offset x30, FRAME_LINK
	stp	x19, x20, [sp, #FRAME_X19]
	.cfi_rel_offset x19, FRAME_X19
	.cfi_rel_offset x20, FRAME_X20
	stp	x21, x22, [sp, #FRAME_X21]
	.cfi_rel_offset x21, FRAME_X21
	.cfi_rel_offset x22, FRAME_X22
	stp	x23, x24, [sp, #FRAME_X23]
	.cfi_rel_offset x23, FRAME_X23
	.cfi_rel_offset x24, FRAME_X24
	stp	x25, x26, [sp, #FRAME_X25]
	.cfi_rel_offset x25, FRAME_X25
	.cfi_rel_offset x26, FRAME_X26
	stp	x27, x28, [sp, #FRAME_X27]
	.cfi_rel_offset x27, FRAME_X27
	.cfi_rel_offset x28, FRAME_X28
	stp	d8, d9, [sp, #FRAME_D8]
	stp	d10, d11, [sp, #FRAME_D10]
	stp	d12, d13, [sp, #FRAME_D12]
	stp	d14, d15, [sp, #FRAME_D14]
	.cfi_rel_offset d8, FRAME_D8
	.cfi_rel_offset d9, FRAME_D9
	.cfi_rel_offset d10, FRAME_D10
	.cfi_rel_offset d11, FRAME_D11
	.cfi_rel_offset d12, FRAME_D12
	.cfi_rel_offset d13, FRAME_D13
	.cfi_rel_offset d14, FRAME_D14
	.cfi_rel_offset d15, FRAME_D15

	mov	x9, sp
	str	x9, [x0]
	ldr	x9, [x1]
	mov	sp, x9

	ldp	d14, d15, [sp, #FRAME_D14]
	ldp	d12, d13, [sp, #FRAME_D12]
	ldp	d10, d11, [sp, #FRAME_D10]
	ldp	d8, d9, [sp, #FRAME_D8]
	ldp	x27, x28, [sp, #FRAME_X27]
	ldp	x25, x26, [sp, #FRAME_X25]
	ldp	x23, x24, [sp, #FRAME_X23]
	ldp	x21, x22, [sp, #FRAME_X21]
	ldp	x19, x20, [sp, #FRAME_X19]
	ldp	x29, x30, [sp], #FRAME_SIZE
	.cfi_adjust_cfa_offset -FRAME_SIZE
	.cfi_restore d8
	.cfi_restore d9
	.cfi_restore d10
	.cfi_restore d11
	.cfi_restore d12
	.cfi_restore d13
	.cfi_restore d14
	.cfi_restore d15
	.cfi_restore x19
	.cfi_restore x20
	.cfi_restore x21
	.cfi_restore x22
	.cfi_restore x23
	.cfi_restore x24
	.cfi_restore x25
	.cfi_restore x26
	.cfi_restore x27
	.cfi_restore x28
	.cfi_restore x29
	.cfi_restore x30
	hint	#29 /* autiasp */
	.cfi_negate_ra_state
	mov	x0, x2
	ret
	.cfi_endproc
	.size	weft__context_switch, .-weft__context_switch

	.globl	weft__context_start
	.hidden	weft__context_start
	.type	weft__context_start, %function
	.balign	16
/* x0: value, x19: entry. x29 is 0. */
weft__context_start:
	.cfi_startproc
	/* There is no return address. Every backtrace and every search for an exception handler
	 * ends here. */
	.cfi_undefined x30
	hint	#36 /* bti j */
	mov	x30, xzr
	blr	x19
	brk	#0
	.cfi_endproc
	.size	weft__context_start, .-weft__context_start

	/* The linker keeps BTI and PAC for the whole output only if every object declares them
	 * safe. */
	.section .note.gnu.property, "a"
	.balign	8
	.long	4          /* the name's size */
	.long	16         /* the descriptor's */
	.long	5          /* NT_GNU_PROPERTY_TYPE_0 */
	.asciz	"GNU"
	.long	0xc0000000 /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
	.long	4
	.long	3          /* BTI, PAC */
	.long	0

	.section .note.GNU-stack, "", %progbits
