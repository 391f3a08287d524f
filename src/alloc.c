/* SPDX-License-Identifier: MIT */
#include "alloc.h"

#include "never_inline.h"

#include <errno.h>
#include <stdlib.h>

WEFT__NEVER_INLINE void *weft__malloc(size_t size)
{
	int saved = errno;
	void *memory = malloc(size);

	errno = saved;
	return memory;
}

WEFT__NEVER_INLINE void *weft__calloc(size_t count, size_t size)
{
	int saved = errno;
	void *memory = calloc(count, size);

	errno = saved;
	return memory;
}

WEFT__NEVER_INLINE void *weft__aligned_alloc(size_t alignment, size_t size)
{
	int saved = errno;
	void *memory = aligned_alloc(alignment, size);

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
