/* SPDX-License-Identifier: MIT */
/*
 * How many CPUs this process may use, which is the default number of workers.
 */
#ifndef WEFT_SRC_BASE_CPUS_H
#define WEFT_SRC_BASE_CPUS_H

#include <stddef.h>

/* The largest number that is ever reported, and the most workers there can be. */
#define WEFT__CPUS_MAX 1024

/* Room for the reason; a longer path is cut off. */
#define WEFT__CPUS_WHY_SIZE 160

/*
 * The number of CPUs that this process may use, from 1 to WEFT__CPUS_MAX. It is the smaller of two
 * numbers:
 *
 *  (a) the CPUs in the calling thread's affinity mask;
 *  (b) the tightest CPU quota of the cgroups that hold this process, its own and the ancestors,
 *      rounded up to whole CPUs.
 *
 * A file that cannot be read or understood limits nothing.
 *
 * @root      where /proc and the cgroup file systems are looked for; NULL or "": the real ones.
 * @ret_why   receives the reason, such as "affinity mask" or "cgroup quota of /a/b"; may be NULL.
 * @why_size  its size in bytes, with the terminating NUL.
 *
 * Any thread. Reads files and closes them.
 */
unsigned weft__cpus_usable(const char *root, char *ret_why, size_t why_size);

/* The number of CPUs in the calling thread's affinity mask, or 0 if it is not available. */
unsigned weft__cpus_affinity(void);

/*
 * Like weft__cpus_usable_within(), but with the quotas of the first call. It reads the files once
 * in the life of a process. For use where a rough number is enough. Any thread.
 */
unsigned weft__cpus_usable_roughly(unsigned affinity);

/* Like weft__cpus_usable(), with the given number of CPUs in the affinity mask. For tests. */
unsigned weft__cpus_usable_within(unsigned affinity, const char *root, char *ret_why,
				  size_t why_size);

#endif
