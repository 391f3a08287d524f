/* SPDX-License-Identifier: MIT */
/*
 * Linked with every unit test. WEFT_TEST_ONLY=PATTERN runs only the test functions whose name
 * matches. The pattern may contain * and ?.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

__attribute__((constructor)) static void choose(void)
{
	const char *pattern = getenv("WEFT_TEST_ONLY");

	if (pattern)
		cmocka_set_test_filter(pattern);
}
