/* SPDX-License-Identifier: MIT */
/* spawn WORKERS COUNT: spawns a task and joins it, COUNT times. */
#include "weft_bench.h"

static long count;

static void *child(void *n)
{
	return n;
}

static void *first(void *unused)
{
	intptr_t sum = 0;
	int64_t start = 0;

	for (intptr_t i = -count / 10; i < count; i++) {
		weft_task *task;
		void *result;
		if (i == 0)
			start = bench_now();
		bench_check(weft_spawn(child, (void *)i, &task) == 0, "weft_spawn");
		bench_check(weft_join(task, &result) == 0, "weft_join");
		if (i >= 0)
			sum += (intptr_t)result;
	}
	bench_report("spawn", (double)(bench_now() - start) / (double)count, "ns");
	bench_check(sum == count * (count - 1) / 2, "the sum of the results");
	return unused;
}

int main(int argc, char **argv)
{
	count = bench_arg(argc, argv, 2);
	run_with(bench_arg(argc, argv, 1), first, NULL);
	return 0;
}
