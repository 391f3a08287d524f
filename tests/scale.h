/* SPDX-License-Identifier: MIT */
/*
 * How much a test does. The counts in the tests are for a native build without a sanitizer; slower
 * ways to run them do a fraction: WEFT_TEST_SCALE=20 divides every count by 20 (valgrind, user-mode
 * emulation), and a test compiled with a sanitizer divides once more by itself.
 */
#ifndef WEFT_TESTS_SCALE_H
#define WEFT_TESTS_SCALE_H

#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEFT_TEST_SCALE_TSAN 1
#elif __has_feature(address_sanitizer) || __has_feature(memory_sanitizer)
#define WEFT_TEST_SCALE_ASAN 1
#endif
#endif

#if defined(__SANITIZE_THREAD__) || defined(WEFT_TEST_SCALE_TSAN)
#define WEFT_TEST_SCALE_SANITIZER 10
#elif defined(__SANITIZE_ADDRESS__) || defined(WEFT_TEST_SCALE_ASAN)
#define WEFT_TEST_SCALE_SANITIZER 4
#else
#define WEFT_TEST_SCALE_SANITIZER 1
#endif

/* n divided by what WEFT_TEST_SCALE and the sanitizer ask for, at least 1 (0 stays 0). A value that
 * is not a number above 0 counts as 1. */
static inline unsigned weft_test_scale(unsigned n)
{
	const char *text = getenv("WEFT_TEST_SCALE");
	unsigned long divisor = text ? strtoul(text, NULL, 10) : 1;
	unsigned long scaled = n / WEFT_TEST_SCALE_SANITIZER / (divisor ? divisor : 1);

	return scaled || !n ? (unsigned)scaled : 1;
}

#endif
