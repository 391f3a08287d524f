/* SPDX-License-Identifier: MIT */
#include "src/base/pages.h"

#include "src/base/alloc.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

void weft__pages_discard(void *from, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t begin = ((uintptr_t)from + page - 1) & ~(uintptr_t)(page - 1);
	uintptr_t end = ((uintptr_t)from + bytes) & ~(uintptr_t)(page - 1);
	int saved = weft__errno();

	/* This fails for locked memory, which its owner wants to keep. */
	if (begin < end)
		(void)madvise((void *)begin, end - begin, MADV_DONTNEED);
	weft__set_errno(saved);
}
