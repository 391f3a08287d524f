/* SPDX-License-Identifier: MIT */
/*
 * Code that the workloads share. Any thread or task may call it. A failed assertion does not jump:
 * what is wrong is counted and printed.
 */
#ifndef WEFT_TESTS_FAULTS_WORKLOAD_H
#define WEFT_TESTS_FAULTS_WORKLOAD_H

#include <weft/weft.h>

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The errors that a call's header documents for a shortage. */
#define MAY_LACK_MEMORY  1u /* -ENOMEM */
#define MAY_LACK_THREADS 2u /* -EAGAIN */

/* What an output holds before the call: it must be untouched if the call fails. */
#define UNTOUCHED ((void *)(uintptr_t)0x5a5a5a5a)

/* Counts a fault of Weft's and says where it is. */
bool must_at(bool ok, const char *what, const char *file, int line);

/* Before a call that must leave errno alone, also when it fails: what refused_at() looks for. Never
 * inlined: the call may end on another thread. */
void errno_mark(void);

/*
 * Looks at what a call returned. true: it failed as documented, while faults are armed, and is to
 * be tried again (after a while, which has passed). Any other failure is wrong, and ends the
 * program.
 */
bool refused_at(int rc, unsigned may, unsigned tries, const char *what, const char *file, int line);

#define MUST(condition) must_at((condition), #condition, __FILE__, __LINE__)

/* Calls until it succeeds. */
#define CALL(may, call)                                                                            \
	for (unsigned tries_ = 0;                                                                  \
	     errno_mark(), refused_at((call), (may), tries_, #call, __FILE__, __LINE__); tries_++) \
		;

/* As CALL(), of a call that writes a pointer to out. */
#define CALL_FOR(out, may, call)                                                    \
	for (unsigned tries_ = 0; (out) = UNTOUCHED, errno_mark(),                  \
		      refused_at((call), (may), tries_, #call, __FILE__, __LINE__); \
	     tries_++)                                                              \
	MUST((void *)(out) == UNTOUCHED)

/* The workloads: each runs from begin to end, and leaves nothing behind. On the main thread. */
void workload_tasks(void);
void workload_forks(void);
void workload_stacks(void);
void workload_runtime(void);
void workload_sync(void);
void workload_chan(void);
void workload_start(void);
void workload_blocking(void);
void workload_outside(void);
void workload_io(void);

#endif
