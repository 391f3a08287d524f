/* SPDX-License-Identifier: MIT */
/* The last resort before a stack is refused (stack_holes.c). */
#ifndef WEFT_SRC_STACK_STACK_HOLES_H
#define WEFT_SRC_STACK_STACK_HOLES_H

#include <stdbool.h>
#include <stddef.h>

/* For a caller to whom the system still refuses `bytes`, of a stack or of the heap, after
 * weft__stack_trim(). If a limit of address space is the reason, unmaps so many free slots of arenas
 * in use that the limit allows it, or none. Returns whether it has unmapped any. One thread at a
 * time, like weft__stack_trim(). */
bool weft__stack_make_holes(size_t bytes);

#endif
