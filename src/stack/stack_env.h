/* SPDX-License-Identifier: MIT */
/* The environment variables for stacks: WEFT_STACK_SIZE and WEFT_GUARD. */
#ifndef WEFT_SRC_STACK_STACK_ENV_H
#define WEFT_SRC_STACK_STACK_ENV_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The address space that a stack of the default size takes, guard and header included. A thread's
 * default stack size counts the same way. It is a power of two, so that stacks share their page
 * tables evenly. A coroutine then costs 512 bytes of page tables; 256 KiB of usable bytes would
 * cost 640. A size that the user asks for is one of usable bytes.
 */
#define WEFT__STACK_RESERVED ((size_t)256 << 10)

#define WEFT__STACK_MIN ((size_t)16 << 10)
#define WEFT__STACK_MAX ((size_t)1 << 30)

/*
 * Parses a number of bytes: decimal digits, then nothing, K (times 1024) or M (times 1024 * 1024).
 * It accepts nothing else, no blank and no sign. Pure.
 *
 * Returns 0, or -EINVAL if the text is something else or too large for a size_t.
 */
int weft__parse_size(const char *text, size_t *ret);

/*
 * Parses WEFT_GUARD: whether stacks get a guard, and whether a stack is refused if it cannot have
 * one. Pure.
 *
 * Returns 0, or -EINVAL if the text is none of WEFT__GUARD_VALUES.
 */
int weft__parse_guard(const char *text, bool *ret_guard, bool *ret_always);

#define WEFT__GUARD_VALUES "on, off or always"

/*
 * Reads the stack size and the guard setting from the environment. The defaults are what
 * WEFT__STACK_RESERVED leaves, and a guard.
 *
 * Returns 0, or -EINVAL if a variable holds a value that is not accepted. It then prints one line
 * on stderr and leaves the outputs untouched.
 */
int weft__stack_env(size_t *ret_size, bool *ret_guard);

/*
 * The same for coroutines outside of a runtime. It reads the environment the first time, and again
 * only while a variable holds a bad value. So a program may change the environment later, even
 * while it creates coroutines.
 */
int weft__stack_env_once(size_t *ret_size, bool *ret_guard);

#endif
