/* SPDX-License-Identifier: MIT */
/*
 * Tells the processor that it is in a wait loop. It then does little for some ten nanoseconds. On
 * aarch64 this is isb, which empties the pipeline, because yield does nothing on nearly all cores.
 */
#ifndef WEFT_SRC_BASE_CPU_RELAX_H
#define WEFT_SRC_BASE_CPU_RELAX_H

static inline void weft__cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("isb");
#endif
}

#endif
