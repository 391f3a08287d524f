/* SPDX-License-Identifier: MIT */
/* Numbers in text, parsed strictly. strtoull() accepts blanks, signs and, silently, numbers that
 * are too large. */
#ifndef WEFT_SRC_BASE_DIGITS_H
#define WEFT_SRC_BASE_DIGITS_H

#include <stdbool.h>
#include <stdint.h>

/* Parses the digits at *text as a decimal number, and moves *text past them. Returns false if there
 * are no digits or too many. */
static inline bool weft__read_digits(const char **text, uint64_t *ret)
{
	const char *p = *text;
	uint64_t n = 0;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (unsigned)(*p - '0'), &n))
			return false;
	}
	*text = p;
	*ret = n;
	return true;
}

#endif
