/* SPDX-License-Identifier: MIT */
#include "alloc.h"

#include "never_inline.h"

#include <errno.h>
#include <stdlib.h>

/* clang takes errno for what malloc() and its kin do not touch, and drops a store that restores it
 * after them. */
#define MAY_HAVE_SET_ERRNO() __asm__ volatile("" : : : "memory")

WEFT__NEVER_INLINE void *weft__malloc(size_t size)
{
	int saved = errno;
	void *memory = malloc(size);

	MAY_HAVE_SET_ERRNO();
	errno = saved;
	return memory;
}

WEFT__NEVER_INLINE void *weft__calloc(size_t count, size_t size)
{
	int saved = errno;
	void *memory = calloc(count, size);

	MAY_HAVE_SET_ERRNO();
	errno = saved;
	return memory;
}

WEFT__NEVER_INLINE void *weft__aligned_alloc(size_t alignment, size_t size)
{
	int saved = errno;
	void *memory = aligned_alloc(alignment, size);

	MAY_HAVE_SET_ERRNO();
	errno = saved;
	return memory;
}

WEFT__NEVER_INLINE int weft__errno(void)
{
	return errno;
}

WEFT__NEVER_INLINE void weft__set_errno(int value)
{
	errno = value;
}
