/* SPDX-License-Identifier: MIT */
/* yield WORKERS TASKS TOTAL: once all of TASKS tasks run, they yield TOTAL times together. */
#include "weft_bench.h"

#include <stdatomic.h>

static long tasks, rounds;
static atomic_long started, ended, yields;
static atomic_bool go;
static int64_t end_time;

static void *yielder(void *unused)
{
	atomic_fetch_add_explicit(&started, 1, memory_order_relaxed);
	while (!atomic_load_explicit(&go, memory_order_relaxed))
		weft_yield();
	for (long i = 0; i < rounds; i++)
		weft_yield();
	atomic_fetch_add_explicit(&yields, rounds, memory_order_relaxed);
	if (atomic_fetch_add_explicit(&ended, 1, memory_order_relaxed) + 1 == tasks)
		end_time = bench_now();
	return unused;
}

static void *first(void *unused)
{
	weft_task **all = malloc((size_t)tasks * sizeof *all);

	for (long i = 0; i < tasks; i++)
		bench_check(weft_spawn(yielder, NULL, &all[i]) == 0, "weft_spawn");
	while (atomic_load_explicit(&started, memory_order_relaxed) < tasks)
		weft_yield();
	/* Once around, in the order of now. */
	weft_yield();
	int64_t start = bench_now();
	atomic_store_explicit(&go, true, memory_order_relaxed);
	for (long i = 0; i < tasks; i++)
		bench_check(weft_join(all[i], NULL) == 0, "weft_join");
	bench_report("yield", (double)(end_time - start) / (double)(tasks * rounds), "ns");
	bench_check(atomic_load_explicit(&yields, memory_order_relaxed) == tasks * rounds,
		    "the count of yields");
	free(all);
	return unused;
}

int main(int argc, char **argv)
{
	tasks = bench_arg(argc, argv, 2);
	rounds = bench_arg(argc, argv, 3) / tasks;
	run_with(bench_arg(argc, argv, 1), first, NULL);
	return 0;
}
