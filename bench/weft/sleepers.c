/* SPDX-License-Identifier: MIT */
/*
 * sleepers WORKERS COUNT MS: COUNT tasks sleep until the same time, MS from the start. The figures
 * are the time until all sleep, and the time from then until all have woken and ended.
 */
#include "weft_bench.h"

#include <stdatomic.h>

static long count;
static int64_t deadline, armed_at;
static atomic_long armed;

static void *sleeper(void *unused)
{
	/* relaxed: a count; armed_at is read after the joins. */
	if (atomic_fetch_add_explicit(&armed, 1, memory_order_relaxed) + 1 == count)
		armed_at = bench_now();
	bench_check(weft_sleep_until(deadline) == 0, "weft_sleep_until");
	return unused;
}

static void *first(void *ms)
{
	weft_task **all = malloc((size_t)count * sizeof *all);

	bench_check(all != NULL, "out of memory");
	int64_t start = bench_now();
	deadline = start + (intptr_t)ms * 1000000;
	for (long i = 0; i < count; i++)
		bench_check(weft_spawn(sleeper, NULL, &all[i]) == 0, "weft_spawn");
	for (long i = 0; i < count; i++)
		bench_check(weft_join(all[i], NULL) == 0, "weft_join");
	int64_t end = bench_now();
	bench_check(armed_at < deadline, "some came too late to sleep");
	bench_report("sleepers", (double)(armed_at - start + end - deadline) / (double)count, "ns");
	free(all);
	return NULL;
}

int main(int argc, char **argv)
{
	count = bench_arg(argc, argv, 2);
	run_with(bench_arg(argc, argv, 1), first, (void *)bench_arg(argc, argv, 3));
	return 0;
}
