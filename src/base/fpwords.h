/* SPDX-License-Identifier: MIT */
/*
 * The floating-point control words: rounding, exception masks, flush-to-zero. A function call
 * preserves them, so a switch between coroutines must preserve them too.
 *
 * x86-64's mxcsr also holds sticky exception flags, which any inexact operation sets. The slow
 * operation depends on the CPU:
 *
 *   AMD     Reading mxcsr is slow (4 to 5 ns), and so is waiting for the value. Loading it always,
 *           without a look, costs nothing. A comparison makes a switch 25 % slower (5.6 → 7.1 ns).
 *   Intel   Loading a value that differs from the present one is slow (27 ns), even if only flags
 *           differ.
 *
 * So mxcsr is compared on Intel only, and loaded there only if its control bits differ. It is
 * therefore not defined which coroutine the sticky flags belong to.
 *
 * The test that tells the two CPUs apart comes before mxcsr is read: a branch after that costs 3 %.
 * A switch makes one test for all the cases that few threads need (coro.c).
 *
 * Loading the x87 and aarch64 words is slow, so they are loaded only if they differ. Their sticky
 * flags stay the thread's, with one exception. A flag that one coroutine raised must not trap in
 * another coroutine that unmasked it. So the flags are cleared when other words are loaded.
 */
#ifndef WEFT_SRC_BASE_FPWORDS_H
#define WEFT_SRC_BASE_FPWORDS_H

#include "compiler.h"

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)

/* Whether mxcsr is compared before it is loaded. Immutable after the library's constructors. */
__attribute__((visibility("hidden"))) extern bool weft__fpwords_compare;

#define FPWORDS_MXCSR_FLAGS 0x3fu

struct fpwords {
	uint32_t mxcsr; /* with the flags */
	uint16_t x87;
};

/* The words of a new process: round to nearest, everything masked. */
static inline void fpwords_default(struct fpwords *words)
{
	words->mxcsr = 0x1f80;
	words->x87 = 0x037f;
}

/* These functions store straight to *words. A local in between would have its address taken, and
 * clang then makes no tail call of the switch that follows. */
static inline void fpwords_save_mxcsr(struct fpwords *words)
{
	__asm__ volatile("stmxcsr %0" : "=m"(words->mxcsr));
}

static inline void fpwords_save_x87(struct fpwords *words)
{
	__asm__ volatile("fnstcw %0" : "=m"(words->x87));
}

static inline void fpwords_save(struct fpwords *words)
{
	fpwords_save_mxcsr(words);
	fpwords_save_x87(words);
}

static inline void fpwords_load_mxcsr(const struct fpwords *to)
{
	__asm__ volatile("ldmxcsr %0" : : "m"(to->mxcsr));
}

static inline void fpwords_load_mxcsr_if_other(const struct fpwords *to, const struct fpwords *now)
{
	if (unlikely((to->mxcsr ^ now->mxcsr) & ~FPWORDS_MXCSR_FLAGS))
		fpwords_load_mxcsr(to);
}

static inline void fpwords_load_x87_if_other(const struct fpwords *to, const struct fpwords *now)
{
	if (unlikely(to->x87 != now->x87))
		__asm__ volatile("fnclex\n\tfldcw %0" : : "m"(to->x87));
}

/* Makes `to` the CPU's words. `now` is the result of an immediately preceding fpwords_save(). */
static inline void fpwords_load(const struct fpwords *to, const struct fpwords *now)
{
	if (unlikely(weft__fpwords_compare))
		fpwords_load_mxcsr_if_other(to, now);
	else
		fpwords_load_mxcsr(to);
	fpwords_load_x87_if_other(to, now);
}

/* In memory, because neither word can be loaded from elsewhere. */
__attribute__((visibility("hidden"))) extern const struct fpwords weft__fpwords_fresh;

/* fpwords_load() with the words of fpwords_default(). */
static inline void fpwords_load_default(const struct fpwords *now)
{
	fpwords_load(&weft__fpwords_fresh, now);
}

/* The same if mxcsr is not compared. */
static inline void fpwords_load_default_plainly(const struct fpwords *now)
{
	fpwords_load_mxcsr(&weft__fpwords_fresh);
	fpwords_load_x87_if_other(&weft__fpwords_fresh, now);
}

/* fpwords_save(from), then fpwords_load(to), if mxcsr is not compared. */
static inline void fpwords_exchange_plainly(struct fpwords *from, const struct fpwords *to)
{
	fpwords_save(from);
	fpwords_load_mxcsr(to);
	fpwords_load_x87_if_other(to, from);
}

/* Like fpwords_load(), whatever the CPU's words are, if mxcsr is not compared. */
static inline void fpwords_restore_plainly(const struct fpwords *to, struct fpwords *scratch)
{
	fpwords_save_x87(scratch);
	fpwords_load_mxcsr(to);
	fpwords_load_x87_if_other(to, scratch);
}

/* Like fpwords_load(), whatever the CPU's words are. */
static inline void fpwords_restore_by(const struct fpwords *to, struct fpwords *scratch)
{
	if (likely(!weft__fpwords_compare)) {
		fpwords_restore_plainly(to, scratch);
		return;
	}
	fpwords_save(scratch);
	fpwords_load_mxcsr_if_other(to, scratch);
	fpwords_load_x87_if_other(to, scratch);
}

#elif defined(__aarch64__)

struct fpwords {
	uint64_t fpcr;
};

static inline void fpwords_default(struct fpwords *words)
{
	words->fpcr = 0;
}

static inline void fpwords_save(struct fpwords *words)
{
	__asm__ volatile("mrs %0, fpcr" : "=r"(words->fpcr));
}

/* Makes `to` the CPU's words. `now` is the result of an immediately preceding fpwords_save(). */
static inline void fpwords_load(const struct fpwords *to, const struct fpwords *now)
{
	if (unlikely(to->fpcr != now->fpcr)) {
		__asm__ volatile("msr fpsr, xzr");
		__asm__ volatile("msr fpcr, %0" : : "r"(to->fpcr));
	}
}

/* Like fpwords_load(), whatever the CPU's words are. */
static inline void fpwords_restore_by(const struct fpwords *to, struct fpwords *scratch)
{
	fpwords_save(scratch);
	fpwords_load(to, scratch);
}

#else

#include <fenv.h>
#include <string.h>

struct fpwords {
	fenv_t env;
};

static inline void fpwords_save(struct fpwords *words)
{
	memset(words, 0, sizeof(*words)); /* the comparison includes the padding */
	fegetenv(&words->env);
}

/* Makes `to` the CPU's words. `now` is the result of an immediately preceding fpwords_save(). */
static inline void fpwords_load(const struct fpwords *to, const struct fpwords *now)
{
	if (memcmp(to, now, sizeof(*to)) != 0)
		fesetenv(&to->env);
}

/* Like fpwords_load(), whatever the CPU's words are. */
static inline void fpwords_restore_by(const struct fpwords *to, struct fpwords *scratch)
{
	(void)scratch;
	fesetenv(&to->env);
}

static inline void fpwords_default(struct fpwords *words)
{
	struct fpwords now;

	fpwords_save(&now);
	fesetenv(FE_DFL_ENV);
	fpwords_save(words);
	fesetenv(&now.env);
}

#endif

#if !defined(__x86_64__)
#define weft__fpwords_compare false

static inline void fpwords_exchange_plainly(struct fpwords *from, const struct fpwords *to)
{
	fpwords_save(from);
	fpwords_load(to, from);
}

static inline void fpwords_restore_plainly(const struct fpwords *to, struct fpwords *scratch)
{
	fpwords_restore_by(to, scratch);
}

static inline void fpwords_load_default(const struct fpwords *now)
{
	struct fpwords fresh;

	fpwords_default(&fresh);
	fpwords_load(&fresh, now);
}

static inline void fpwords_load_default_plainly(const struct fpwords *now)
{
	fpwords_load_default(now);
}
#endif

/* fpwords_restore_by() with the words of fpwords_default(). The second function is for use if mxcsr
 * is not compared. */
static inline void fpwords_reset(struct fpwords *scratch)
{
#if defined(__x86_64__)
	fpwords_restore_by(&weft__fpwords_fresh, scratch);
#else
	struct fpwords fresh;

	fpwords_default(&fresh);
	fpwords_restore_by(&fresh, scratch);
#endif
}

static inline void fpwords_reset_plainly(struct fpwords *scratch)
{
#if defined(__x86_64__)
	fpwords_restore_plainly(&weft__fpwords_fresh, scratch);
#else
	fpwords_reset(scratch);
#endif
}

static inline void fpwords_restore(const struct fpwords *to)
{
	struct fpwords scratch;

	fpwords_restore_by(to, &scratch);
}

#endif
