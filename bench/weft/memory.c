/* SPDX-License-Identifier: MIT */
/*
 * memory WORKERS COUNT: COUNT tasks that wait, all at once. This happens twice: cold, and then
 * warm, with what the first time has left. The figures are the memory of a task in bytes (pages and
 * page tables), the times to create it (until it waits), to resume it (until it waits again) and to
 * end it, and what is still held one second later.
 */
#include "weft_bench.h"

#include <stdatomic.h>

#include <weft/sync.h>

static long count;
static weft_event gates[2];
static weft_latch arrivals[2];
static atomic_long sum;

static void *waiter(void *n)
{
	char frame[64]; /* something of its own, to be kept over the waits */

	memset(frame, (int)(intptr_t)n, sizeof frame);
	for (int i = 0; i < 2; i++) {
		weft_latch_count_down(&arrivals[i], 1);
		bench_check(weft_event_wait(&gates[i]) == 0, "weft_event_wait");
	}
	/* relaxed: read after the joins. */
	atomic_fetch_add_explicit(&sum, (unsigned char)frame[n ? 1 : 0], memory_order_relaxed);
	return NULL;
}

struct figures {
	double create, resume, end, bytes;
};

static double since(int64_t start)
{
	return (double)(bench_now() - start) / (double)count;
}

static struct figures once(weft_task **tasks, double before)
{
	struct figures figures;
	long expected = 0;

	atomic_store_explicit(&sum, 0, memory_order_relaxed);
	for (int i = 0; i < 2; i++) {
		weft_event_init(&gates[i]);
		weft_latch_init(&arrivals[i], (unsigned)count);
	}
	int64_t start = bench_now();
	for (intptr_t i = 0; i < count; i++)
		bench_check(weft_spawn(waiter, (void *)i, &tasks[i]) == 0, "weft_spawn");
	weft_latch_wait(&arrivals[0]);
	figures.create = since(start);
	figures.bytes = (bench_memory() - before) / (double)count;

	start = bench_now();
	weft_event_set(&gates[0]);
	weft_latch_wait(&arrivals[1]);
	figures.resume = since(start);

	start = bench_now();
	weft_event_set(&gates[1]);
	for (long i = 0; i < count; i++) {
		bench_check(weft_join(tasks[i], NULL) == 0, "weft_join");
		expected += (unsigned char)i;
	}
	figures.end = since(start);
	bench_check(atomic_load_explicit(&sum, memory_order_relaxed) == expected,
		    "what the frames held");
	return figures;
}

static void *first(void *unused)
{
	weft_task **tasks = malloc((size_t)count * sizeof *tasks);

	bench_check(tasks != NULL, "out of memory");
	memset(tasks, 1, (size_t)count * sizeof *tasks);
	double before = bench_memory();
	struct figures cold = once(tasks, before);
	struct figures warm = once(tasks, before);
	weft_sleep(BENCH_NS);
	double held = bench_memory() - before;
	bench_report("memory_bytes", cold.bytes, "bytes");
	bench_report("memory_create_cold", cold.create, "ns");
	bench_report("memory_create_warm", warm.create, "ns");
	bench_report("memory_resume", warm.resume, "ns");
	bench_report("memory_end_cold", cold.end, "ns");
	bench_report("memory_end_warm", warm.end, "ns");
	bench_report("memory_held", 100.0 * held / (cold.bytes * (double)count), "%");
	free(tasks);
	return unused;
}

int main(int argc, char **argv)
{
	count = bench_arg(argc, argv, 2);
	run_with(bench_arg(argc, argv, 1), first, NULL);
	return 0;
}
