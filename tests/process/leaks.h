/* SPDX-License-Identifier: MIT */
/*
 * A process that ends while tasks run leaves their memory behind. LeakSanitizer looks for pointers
 * on the stacks that the threads are running on. For a thread whose task calls exit() that is the
 * task's stack, and it does not see main()'s own.
 */
#ifndef WEFT_TESTS_PROCESS_LEAKS_H
#define WEFT_TESTS_PROCESS_LEAKS_H

#include "tests/src/child.h"

#include <stdbool.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define VALGRIND_CLO_CHANGE(option) ((void)0)
#endif

#if CHILD_ASAN
static bool leaks_expected;

int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
	return leaks_expected;
}
#endif

/* From here on this process need not free its memory. It is a child that will end abnormally. */
static inline void expect_leaks(void)
{
#if CHILD_ASAN
	leaks_expected = true;
#endif
	/* Valgrind sees only the stack of the thread that forked. */
	VALGRIND_CLO_CHANGE("--leak-check=no");
}

#endif
