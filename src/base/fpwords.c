/* SPDX-License-Identifier: MIT */
/* The facts about the processor that fpwords.h needs. */
#include "src/base/fpwords.h"

#if defined(__x86_64__)

#include <cpuid.h>
#include <string.h>

bool weft__fpwords_compare;
const struct fpwords weft__fpwords_fresh = {0x1f80, 0x037f};

/* Runs before main(). A switch that comes even earlier always loads, which is right on every
 * CPU. */
static __attribute__((constructor)) void choose(void)
{
	unsigned max, vendor[3];

	if (__get_cpuid(0, &max, &vendor[0], &vendor[2], &vendor[1]))
		weft__fpwords_compare = memcmp(vendor, "GenuineIntel", sizeof vendor) == 0;
}

#endif
