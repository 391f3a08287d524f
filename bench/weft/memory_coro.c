/* SPDX-License-Identifier: MIT */
/*
 * memory_coro COUNT: as memory, with weft_coro alone: no tasks, no pool. A coroutine counts as
 * created when it has been entered for the first time and has yielded. It is resumed when it has
 * been entered again. It has ended when it has returned and was destroyed.
 */
#include "weft_bench.h"

static long count;

static void *body(void *n)
{
	char frame[64]; /* something of its own, to be kept over the yields */

	memset(frame, (int)(intptr_t)n, sizeof frame);
	for (int i = 0; i < 2; i++)
		weft_coro_yield(NULL);
	return (void *)(intptr_t)(unsigned char)frame[n ? 1 : 0];
}

struct figures {
	double create, resume, end, bytes;
};

static double since(int64_t start)
{
	return (double)(bench_now() - start) / (double)count;
}

static struct figures once(weft_coro **all, double before)
{
	struct figures figures;

	int64_t start = bench_now();
	for (intptr_t i = 0; i < count; i++) {
		bench_check(weft_coro_create(body, 0, &all[i]) == 0, "weft_coro_create");
		weft_coro_enter(all[i], (void *)i, NULL);
	}
	figures.create = since(start);
	figures.bytes = (bench_memory() - before) / (double)count;

	start = bench_now();
	for (long i = 0; i < count; i++)
		weft_coro_enter(all[i], NULL, NULL);
	figures.resume = since(start);

	start = bench_now();
	for (intptr_t i = 0; i < count; i++) {
		void *result;
		weft_coro_enter(all[i], NULL, &result);
		bench_check(weft_coro_done(all[i]) && (intptr_t)result == (unsigned char)i,
			    "what the frame held");
		weft_coro_destroy(all[i]);
	}
	figures.end = since(start);
	return figures;
}

int main(int argc, char **argv)
{
	count = bench_arg(argc, argv, 1);
	weft_coro **all = malloc((size_t)count * sizeof *all);

	bench_check(all != NULL, "out of memory");
	memset(all, 1, (size_t)count * sizeof *all);
	double before = bench_memory();
	struct figures cold = once(all, before);
	struct figures warm = once(all, before);
	bench_sleep(BENCH_NS);
	double held = bench_memory() - before;
	bench_report("memory_bytes", cold.bytes, "bytes");
	bench_report("memory_create_cold", cold.create, "ns");
	bench_report("memory_create_warm", warm.create, "ns");
	bench_report("memory_resume", warm.resume, "ns");
	bench_report("memory_end_cold", cold.end, "ns");
	bench_report("memory_end_warm", warm.end, "ns");
	bench_report("memory_held", 100.0 * held / (cold.bytes * (double)count), "%");
	free(all);
	return 0;
}
