/* SPDX-License-Identifier: MIT */
/*
 * Tells the processor that this is a wait loop: some ten nanoseconds, in which it does little. On
 * aarch64 that is isb, which empties the pipeline: yield does nothing on nearly all cores.
 */
#ifndef WEFT_SCHED_OS_CPU_RELAX_H
#define WEFT_SCHED_OS_CPU_RELAX_H

static inline void weft__cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb");
#endif
}

#endif
