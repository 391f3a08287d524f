/* SPDX-License-Identifier: MIT */
/*
 * How many CPUs this process may use: what the default number of workers is.
 */
#ifndef WEFT_SCHED_OS_CPUS_H
#define WEFT_SCHED_OS_CPUS_H

#include <stddef.h>

/* The most that is ever reported, and the most workers there can be. */
#define WEFT__CPUS_MAX 1024

/* Room for the reason; a longer path is cut off. */
#define WEFT__CPUS_WHY_SIZE 160

/*
 * The number of CPUs that this process may use, from 1 to WEFT__CPUS_MAX: the CPUs of the calling
 * thread's affinity mask, or the CPU quota of a cgroup that holds this process, its own or any
 * ancestor, rounded up to whole CPUs, where one of these is tighter. What cannot be read or
 * understood limits nothing.
 *
 * @root      where /proc and the cgroup file systems are looked for; NULL or "": the real ones.
 * @ret_why   receives what decided, such as "affinity mask" or "cgroup quota of /a/b"; may be NULL.
 * @why_size  its size in bytes, with the terminating NUL.
 *
 * Any thread. Reads files; does not keep them open.
 */
unsigned weft__cpus_usable(const char *root, char *ret_why, size_t why_size);

/* The number of CPUs in the calling thread's affinity mask; 0 if it cannot be had. */
unsigned weft__cpus_affinity(void);

/*
 * As weft__cpus_usable_within(), but of the quotas as they were when it was called first: it reads
 * files once in the life of a process. Where a rough number will do. Any thread.
 */
unsigned weft__cpus_usable_roughly(unsigned affinity);

/* As weft__cpus_usable(), with the given number of CPUs in the affinity mask, for tests. */
unsigned weft__cpus_usable_within(unsigned affinity, const char *root, char *ret_why,
				  size_t why_size);

#endif
