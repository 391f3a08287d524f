/* SPDX-License-Identifier: MIT */
/* mutex WORKERS COUNT: locks and unlocks a mutex that nobody else wants. */
#include "weft_bench.h"

#include <weft/sync.h>

static long count;
static weft_mutex mutex = WEFT_MUTEX_INIT;
static volatile long counter; /* under mutex */

static void *first(void *unused)
{
	int64_t start = bench_now();

	for (long i = 0; i < count; i++) {
		weft_mutex_lock(&mutex);
		counter = counter + 1;
		weft_mutex_unlock(&mutex);
	}
	bench_report("mutex", (double)(bench_now() - start) / (double)count, "ns");
	bench_check(counter == count, "the counter");
	return unused;
}

int main(int argc, char **argv)
{
	count = bench_arg(argc, argv, 2);
	run_with(bench_arg(argc, argv, 1), first, NULL);
	return 0;
}
