/* SPDX-License-Identifier: MIT */
#include "alloc.h"

#include "compiler.h"

#include <errno.h>
#include <stdlib.h>

#undef weft__malloc /* the macros are for callers */
#undef weft__calloc
#undef weft__aligned_alloc

/* Restores errno after an allocation, and returns the memory. clang assumes that malloc() and its
 * kin do not touch errno. Without the barrier it drops the store that restores errno. */
static inline void *restore_errno(int before, void *memory)
{
	__asm__ volatile("" : : : "memory");
	errno = before;
	return memory;
}

WEFT__NEVER_INLINE void *weft__malloc(size_t size)
{
	int before = errno;

	return restore_errno(before, malloc(size));
}

WEFT__NEVER_INLINE void *weft__calloc(size_t count, size_t size)
{
	int before = errno;

	return restore_errno(before, calloc(count, size));
}

WEFT__NEVER_INLINE void *weft__aligned_alloc(size_t alignment, size_t size)
{
	int before = errno;

	return restore_errno(before, aligned_alloc(alignment, size));
}

WEFT__NEVER_INLINE int weft__errno(void)
{
	return errno;
}

WEFT__NEVER_INLINE void weft__set_errno(int value)
{
	errno = value;
}
