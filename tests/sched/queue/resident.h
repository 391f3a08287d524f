/* SPDX-License-Identifier: MIT */
/* How much of a queue's buffer has memory. */
#ifndef WEFT_TESTS_SCHED_QUEUE_RESIDENT_H
#define WEFT_TESTS_SCHED_QUEUE_RESIDENT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* How many of the whole pages from `slots` to `slots_end`. */
static inline size_t resident_pages_of(const void *slots, const void *slots_end)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), count = 0;
	uintptr_t begin = ((uintptr_t)slots + page - 1) & ~(page - 1);
	uintptr_t end = (uintptr_t)slots_end & ~(page - 1);

	for (; begin < end; begin += page) {
		unsigned char is = 0;
		mincore((void *)begin, page, &is);
		count += is & 1;
	}
	return count;
}

#endif
