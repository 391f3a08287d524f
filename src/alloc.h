/* SPDX-License-Identifier: MIT */
/*
 * Memory from the heap, and errno. errno belongs to the task, and none of Weft's functions reports
 * through it; but malloc() and system calls set it when they fail, which Weft may then make good or
 * report by its own return. So whatever allocates does it through these, and whatever makes a
 * system call that may fail saves errno before and restores it after.
 *
 * Both ask for errno's address anew each time (never_inline.h): a task may go on on another thread
 * after any call that switches.
 */
#ifndef WEFT_SRC_ALLOC_H
#define WEFT_SRC_ALLOC_H

#include <stddef.h>

/* As malloc() and so on, but that errno is kept. To be freed by free(). */
void *weft__malloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *weft__calloc(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2)));
void *weft__aligned_alloc(size_t alignment, size_t size)
	__attribute__((malloc, alloc_align(1), alloc_size(2)));

/* errno, of the thread that calls. */
int weft__errno(void);
void weft__set_errno(int value);

#endif
