/* SPDX-License-Identifier: MIT */
/*
 * The System V x86-64 backend of context.h.
 *
 * weft__context_switch() returns with a pop and an indirect jump. A `ret` there never goes where
 * the CPU's return stack predicts, and costs a pipeline flush each time (7.5 instead of 2.2 ns).
 * The CPU predicts the indirect jump by history.
 *
 * weft__context_switch_alike() ends in `ret`. It serves contexts that are all suspended by the same
 * call. There the prediction is right although the stack has changed. An indirect jump would leave
 * one entry too many on the return stack, and the CPU would then mispredict every later `ret`. A
 * yield takes 22 ns with `ret` and 28 ns with the jump. A generator's two sides take 14 ns with
 * `ret` and 8 ns with the jump.
 *
 * The jump goes to addresses that follow a call and hold no endbr64, so it is marked `notrack`.
 * This object carries no CET property. The linker therefore marks the output as not
 * shadow-stack-safe, which is the truth.
 *
 * To the return stack, the code between weft__context_enter() and weft__context_jump() looks like
 * a called function. The entry is reached by a jump, which leaves the enterer's return address on
 * top of the return stack. weft__context_jump() ends in the `ret` that finds it there, without a
 * call of its own. Two switches would miss twice, because each returns to where the other was
 * called.
 *
 * coro.c handles the floating-point control words. mxcsr and the x87 control word change rarely and
 * are slow to load.
 *
 * The CFI is valid at every instruction, because the frame has the same shape before and after the
 * stack pointer changes.
 */
#include "frame.h"

	.text
/* rdi: from */
	.macro	save
	/* The return address is already at FRAME_LINK. */
	leaq	-FRAME_LINK(%rsp), %rsp
	.cfi_adjust_cfa_offset FRAME_LINK
	movq	%r15, FRAME_R15(%rsp)
	.cfi_rel_offset r15, FRAME_R15
	movq	%r14, FRAME_R14(%rsp)
	.cfi_rel_offset r14, FRAME_R14
	movq	%r13, FRAME_R13(%rsp)
	.cfi_rel_offset r13, FRAME_R13
	movq	%r12, FRAME_R12(%rsp)
	.cfi_rel_offset r12, FRAME_R12
	movq	%rbx, FRAME_RBX(%rsp)
	.cfi_rel_offset rbx, FRAME_RBX
	movq	%rbp, FRAME_RBP(%rsp)
	.cfi_rel_offset rbp, FRAME_RBP

	movq	%rsp, (%rdi)
	.endm

/* Loads the frame at rsp, except for the return address, which is then on top of the stack. */
	.macro	load
	movq	FRAME_R15(%rsp), %r15
	movq	FRAME_R14(%rsp), %r14
	movq	FRAME_R13(%rsp), %r13
	movq	FRAME_R12(%rsp), %r12
	movq	FRAME_RBX(%rsp), %rbx
	movq	FRAME_RBP(%rsp), %rbp
	.cfi_restore r15
	.cfi_restore r14
	.cfi_restore r13
	.cfi_restore r12
	.cfi_restore rbx
	.cfi_restore rbp
	leaq	FRAME_LINK(%rsp), %rsp
	.cfi_adjust_cfa_offset -FRAME_LINK
	.endm

/* rdi: from, rsi: to, rdx: value */
	.macro	exchange
	endbr64
	save
	movq	(%rsi), %rsp
	load
	movq	%rdx, %rax
	.endm

	.globl	weft__context_switch
	.hidden	weft__context_switch
	.type	weft__context_switch, @function
	.globl	weft__context_switch_int
	.hidden	weft__context_switch_int
	.type	weft__context_switch_int, @function
	.balign	16
weft__context_switch:
weft__context_switch_int:
	.cfi_startproc
	exchange
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.cfi_register rip, rcx
	notrack jmp *%rcx
	.cfi_endproc
	.size	weft__context_switch, .-weft__context_switch

	.globl	weft__context_switch_alike
	.hidden	weft__context_switch_alike
	.type	weft__context_switch_alike, @function
	.balign	16
weft__context_switch_alike:
	.cfi_startproc
	exchange
	ret
	.cfi_endproc
	.size	weft__context_switch_alike, .-weft__context_switch_alike

	.globl	weft__context_start
	.hidden	weft__context_start
	.type	weft__context_start, @function
	.balign	16
/* rax: value, rbx: entry. The stack is aligned to 16, rbp is 0. */
weft__context_start:
	.cfi_startproc
	/* There is no return address. Every backtrace and every search for an exception handler
	 * ends here. */
	.cfi_undefined rip
	endbr64
	movq	%rax, %rdi
	call	*%rbx
.Lbottom:
	ud2
	.cfi_endproc
	.size	weft__context_start, .-weft__context_start

	.globl	weft__context_enter
	.hidden	weft__context_enter
	.type	weft__context_enter, @function
	.balign	16
/* rdi: from, rsi: the stack's top, rdx: value, rcx: entry */
weft__context_enter:
	.cfi_startproc
	endbr64
	save
	movq	%rsi, %rsp
	/* The bottom is that of weft__context_start(). Not a call: see weft__context_jump(). */
	.cfi_def_cfa_offset 0
	.cfi_undefined rip
	xorl	%ebp, %ebp
	movq	%rdx, %rdi
	leaq	.Lbottom(%rip), %rax
	pushq	%rax
	.cfi_adjust_cfa_offset 8
	.cfi_offset rip, -8
	jmp	*%rcx
	.cfi_endproc
	.size	weft__context_enter, .-weft__context_enter

	.globl	weft__context_jump
	.hidden	weft__context_jump
	.type	weft__context_jump, @function
	.balign	16
/* rdi: to, rsi: value */
weft__context_jump:
	.cfi_startproc
	endbr64
	movq	(%rdi), %rsp
	.cfi_adjust_cfa_offset FRAME_LINK
	.cfi_rel_offset r15, FRAME_R15
	.cfi_rel_offset r14, FRAME_R14
	.cfi_rel_offset r13, FRAME_R13
	.cfi_rel_offset r12, FRAME_R12
	.cfi_rel_offset rbx, FRAME_RBX
	.cfi_rel_offset rbp, FRAME_RBP
	load
	movq	%rsi, %rax
	ret
	.cfi_endproc
	.size	weft__context_jump, .-weft__context_jump

	.section .note.GNU-stack, "", @progbits
