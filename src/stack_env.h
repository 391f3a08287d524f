/* SPDX-License-Identifier: MIT */
/* The environment's say about stacks: WEFT_STACK_SIZE and WEFT_GUARD. */
#ifndef WEFT_SRC_STACK_ENV_H
#define WEFT_SRC_STACK_ENV_H

#include <stdbool.h>
#include <stddef.h>

/*
 * What a stack of the default size takes of the address space: with guard and header, as the
 * default of a thread's does. A power of two, so that stacks share their page tables evenly: a
 * coroutine costs 512 bytes of them instead of the 640 that 256 KiB of usable bytes would. A size
 * that is asked for is one of usable bytes.
 */
#define WEFT__STACK_RESERVED ((size_t)256 << 10)

#define WEFT__STACK_MIN ((size_t)16 << 10)
#define WEFT__STACK_MAX ((size_t)1 << 30)

/*
 * The number of bytes that `text` names: decimal digits, then nothing, K (times 1024) or M (times
 * 1024 * 1024). Nothing else is accepted, no blank and no sign. Pure.
 *
 * 0; -EINVAL: it is something else, or too large for a size_t.
 */
int weft__parse_size(const char *text, size_t *ret);

/*
 * What WEFT_GUARD asks for: whether stacks get a guard, and whether one that cannot have it is
 * refused. Pure.
 *
 * 0; -EINVAL: it is none of WEFT__GUARD_VALUES.
 */
int weft__parse_guard(const char *text, bool *ret_guard, bool *ret_always);

#define WEFT__GUARD_VALUES "on, off or always"

/*
 * The stack size and whether stacks get a guard, from the environment or by default (what
 * WEFT__STACK_RESERVED leaves; on).
 *
 * 0; -EINVAL: a variable holds something else than is accepted, which one line on stderr has said;
 * the outputs are untouched.
 */
int weft__stack_env(size_t *ret_size, bool *ret_guard);

/*
 * The same for coroutines outside of a runtime: reads the environment the first time, and again
 * only as long as it holds a bad value. So a program may change the environment later on, while
 * coroutines are created.
 */
int weft__stack_env_once(size_t *ret_size, bool *ret_guard);

#endif
