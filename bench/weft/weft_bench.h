/* SPDX-License-Identifier: MIT */
/* What Weft's benchmarks share: the first task of a runtime with a given number of workers. */
#ifndef BENCH_WEFT_BENCH_H
#define BENCH_WEFT_BENCH_H

#include "../bench.h"

#include <weft/weft.h>

/*
 * Runs fn(arg) as a task of a runtime with so many workers, the calling thread among them, and
 * returns its result.
 */
static inline void *run_with(long workers, weft_fn *fn, void *arg)
{
	void *result = NULL;
	char number[24];

	snprintf(number, sizeof number, "%ld", workers);
	setenv("WEFT_WORKERS", number, 1);
	bench_check(weft_run(fn, arg, &result) == 0, "weft_run");
	return result;
}

#endif
