/* SPDX-License-Identifier: MIT */
#include "src/base/pages.h"

#include "compiler.h"
#include "src/base/alloc.h"
#include "src/base/atomic.h"
#include "src/base/lockcheck.h"

#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

size_t weft__page_size(void)
{
	/* relaxed: every thread gets the same answer */
	static _Atomic size_t known;
	size_t size = load_relaxed(&known);

	if (unlikely(size == 0)) {
		size = (size_t)sysconf(_SC_PAGESIZE);
		store_relaxed(&known, size);
	}
	return size;
}

void weft__pages_discard(void *from, size_t bytes)
{
	size_t page = weft__page_size();
	uintptr_t begin = ((uintptr_t)from + page - 1) & ~(uintptr_t)(page - 1);
	uintptr_t end = ((uintptr_t)from + bytes) & ~(uintptr_t)(page - 1);
	int saved = weft__errno();

	WEFT__MAPS();
	/* This fails for locked memory, which its owner wants to keep. */
	if (begin < end)
		(void)madvise((void *)begin, end - begin, MADV_DONTNEED);
	weft__set_errno(saved);
}
