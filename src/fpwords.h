/* SPDX-License-Identifier: MIT */
/*
 * The floating-point control words: rounding, exception masks, flush-to-zero. A function call
 * preserves them, so a switch between coroutines must. What is slow is to read mxcsr (4 to 5 ns);
 * it is loaded without a look at what it is, at no measurable cost, and its sticky exception flags
 * are the coroutine's with it. Loading the x87 and aarch64 words is slow, so those are loaded only
 * where they differ; their sticky flags stay the thread's, except that what one coroutine has
 * raised must not trap in another that unmasked it: where other words are loaded the flags are
 * cleared.
 */
#ifndef WEFT_SRC_FPWORDS_H
#define WEFT_SRC_FPWORDS_H

#include <stdint.h>

#if defined(__x86_64__)

struct fpwords {
	uint32_t mxcsr; /* as stored: the low six bits are the flags */
	uint16_t x87;
};

/* What a process starts with: round to nearest, everything masked. */
static inline void fpwords_default(struct fpwords *words)
{
	words->mxcsr = 0x1f80;
	words->x87 = 0x037f;
}

/* Stores straight to *words: a local in between would have its address taken, and clang then makes
 * no tail call of the switch that follows. */
static inline void fpwords_save(struct fpwords *words)
{
	__asm__ volatile("stmxcsr %0" : "=m"(words->mxcsr));
	__asm__ volatile("fnstcw %0" : "=m"(words->x87));
}

/* Makes `to` the CPU's words; `now` is what fpwords_save() has just said. */
static inline void fpwords_load(const struct fpwords *to, const struct fpwords *now)
{
	__asm__ volatile("ldmxcsr %0" : : "m"(to->mxcsr));
	if (__builtin_expect(to->x87 != now->x87, 0))
		__asm__ volatile("fnclex\n\tfldcw %0" : : "m"(to->x87));
}

/* fpwords_load() of what fpwords_default() says. */
static inline void fpwords_load_default(const struct fpwords *now)
{
	/* In memory: neither word can be loaded from elsewhere. */
	static const struct fpwords fresh = {0x1f80, 0x037f};

	fpwords_load(&fresh, now);
}

/* As fpwords_load(), whatever the CPU's words are. */
static inline void fpwords_restore(const struct fpwords *to)
{
	struct fpwords now;

	__asm__ volatile("fnstcw %0" : "=m"(now.x87));
	fpwords_load(to, &now);
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

/* Makes `to` the CPU's words; `now` is what fpwords_save() has just said. */
static inline void fpwords_load(const struct fpwords *to, const struct fpwords *now)
{
	if (__builtin_expect(to->fpcr != now->fpcr, 0)) {
		__asm__ volatile("msr fpsr, xzr");
		__asm__ volatile("msr fpcr, %0" : : "r"(to->fpcr));
	}
}

static inline void fpwords_restore(const struct fpwords *to)
{
	struct fpwords now;

	fpwords_save(&now);
	fpwords_load(to, &now);
}

#else

#include <fenv.h>
#include <string.h>

struct fpwords {
	fenv_t env;
};

static inline void fpwords_save(struct fpwords *words)
{
	memset(words, 0, sizeof(*words)); /* padding takes part in the comparison */
	fegetenv(&words->env);
}

/* Makes `to` the CPU's words; `now` is what fpwords_save() has just said. */
static inline void fpwords_load(const struct fpwords *to, const struct fpwords *now)
{
	if (memcmp(to, now, sizeof(*to)) != 0)
		fesetenv(&to->env);
}

static inline void fpwords_restore(const struct fpwords *to)
{
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
static inline void fpwords_load_default(const struct fpwords *now)
{
	struct fpwords fresh;

	fpwords_default(&fresh);
	fpwords_load(&fresh, now);
}
#endif

#endif
