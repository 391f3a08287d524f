/* SPDX-License-Identifier: MIT */
/*
 * wake WORKERS COUNT: once in a millisecond a plain thread submits a task to a runtime whose
 * workers all sleep. The figures are the time until the task runs, and how much CPU the process
 * uses.
 */
#include "weft_bench.h"

#include <stdatomic.h>

static int64_t submitted;
static int64_t *samples;
static atomic_long done;

static void *stamp(void *n)
{
	samples[(intptr_t)n] = bench_now() - submitted;
	atomic_fetch_add_explicit(&done, 1, memory_order_release);
	return NULL;
}

int main(int argc, char **argv)
{
	struct weft_runtime_options options = {.workers = (unsigned)bench_arg(argc, argv, 1)};
	long count = bench_arg(argc, argv, 2);
	weft_runtime *rt;

	samples = malloc((size_t)count * sizeof *samples);
	bench_check(weft_runtime_create(&options, &rt) == 0, "weft_runtime_create");
	bench_sleep(20 * 1000000);
	int64_t cpu = bench_cpu_time(), start = bench_now();
	for (long i = 0; i < count; i++) {
		submitted = bench_now();
		bench_check(weft_submit(rt, stamp, (void *)i, NULL) == 0, "weft_submit");
		do
			bench_sleep(1000000);
		while (atomic_load_explicit(&done, memory_order_acquire) <= i);
	}
	cpu = bench_cpu_time() - cpu;
	start = bench_now() - start;
	bench_check(weft_runtime_destroy(rt) == 0, "weft_runtime_destroy");
	bench_report_latency(samples, (size_t)count);
	bench_report("wake_cpu", 100.0 * (double)cpu / (double)start, "%");
	return 0;
}
