/* SPDX-License-Identifier: MIT */
/*
 * counter WORKERS TASKS TOTAL: TASKS tasks add one to a counter under one mutex, TOTAL times
 * together.
 */
#include "weft_bench.h"

#include <weft/sync.h>

static long tasks, each;
static weft_mutex mutex = WEFT_MUTEX_INIT;
static long counter; /* under mutex */

static void *adder(void *unused)
{
	for (long i = 0; i < each; i++) {
		weft_mutex_lock(&mutex);
		counter++;
		weft_mutex_unlock(&mutex);
	}
	return unused;
}

static void *first(void *unused)
{
	weft_task **all = malloc((size_t)tasks * sizeof *all);

	int64_t start = bench_now();
	for (long i = 0; i < tasks; i++)
		bench_check(weft_spawn(adder, NULL, &all[i]) == 0, "weft_spawn");
	for (long i = 0; i < tasks; i++)
		bench_check(weft_join(all[i], NULL) == 0, "weft_join");
	bench_report("counter", (double)(bench_now() - start) / (double)(tasks * each), "ns");
	bench_check(counter == tasks * each, "the counter");
	free(all);
	return unused;
}

int main(int argc, char **argv)
{
	tasks = bench_arg(argc, argv, 2);
	each = bench_arg(argc, argv, 3) / tasks;
	run_with(bench_arg(argc, argv, 1), first, NULL);
	return 0;
}
