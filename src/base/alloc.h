/* SPDX-License-Identifier: MIT */
/*
 * Heap memory, and errno.
 *
 * errno belongs to the task, and no Weft function reports through it. But malloc() and system calls
 * set errno when they fail. Weft may recover from such a failure, or report it with its own return
 * value. So two rules hold:
 *
 *  1. Code that allocates calls these functions.
 *  2. Code that makes a system call which may fail saves errno before it and restores it after.
 *
 * Both use the functions below, which look up errno's address anew each time (compiler.h). A
 * task may continue on another thread after any call that switches.
 */
#ifndef WEFT_SRC_BASE_ALLOC_H
#define WEFT_SRC_BASE_ALLOC_H

#include "lockcheck.h"

#include <stddef.h>

/* Like malloc() and so on, but errno is kept. free() frees the memory. */
void *weft__malloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *weft__calloc(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2)));
void *weft__aligned_alloc(size_t alignment, size_t size)
	__attribute__((malloc, alloc_align(1), alloc_size(2)));

/* For the check of what is done under a lock (lockcheck.h). */
#define weft__malloc(size)                   (WEFT__MAPS(), (weft__malloc)(size))
#define weft__calloc(count, size)            (WEFT__MAPS(), (weft__calloc)(count, size))
#define weft__aligned_alloc(alignment, size) (WEFT__MAPS(), (weft__aligned_alloc)(alignment, size))

/* errno of the calling thread. */
int weft__errno(void);
void weft__set_errno(int value);

#endif
