/* SPDX-License-Identifier: MIT */
/* million WORKERS COUNT: spawns COUNT tasks, then joins them all. */
#include "weft_bench.h"

static long count;

static void *child(void *n)
{
	return n;
}

static void *first(void *unused)
{
	weft_task **tasks = malloc((size_t)count * sizeof *tasks);
	intptr_t sum = 0;

	bench_check(tasks != NULL, "out of memory");
	int64_t start = bench_now();
	for (intptr_t i = 0; i < count; i++)
		bench_check(weft_spawn(child, (void *)i, &tasks[i]) == 0, "weft_spawn");
	for (long i = 0; i < count; i++) {
		void *result;
		bench_check(weft_join(tasks[i], &result) == 0, "weft_join");
		sum += (intptr_t)result;
	}
	bench_report("million", (double)(bench_now() - start) / (double)count, "ns");
	bench_check(sum == count * (count - 1) / 2, "the sum of the results");
	bench_report("million_peak", bench_status("VmHWM") / (1 << 20), "MiB");
	free(tasks);
	return unused;
}

int main(int argc, char **argv)
{
	count = bench_arg(argc, argv, 2);
	run_with(bench_arg(argc, argv, 1), first, NULL);
	return 0;
}
