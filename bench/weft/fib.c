/* SPDX-License-Identifier: MIT */
/* fib WORKERS N: the recursion, with a task for each call with n >= 2. */
#include "../kernels.h"
#include "weft_bench.h"

static void *fib(void *arg)
{
	intptr_t n = (intptr_t)arg;
	weft_forked fork;

	if (n < 2)
		return arg;
	weft_fork(&fork, fib, (void *)(n - 1));
	intptr_t b = (intptr_t)fib((void *)(n - 2));
	intptr_t a = (intptr_t)weft_fork_join(&fork);
	return (void *)(a + b);
}

static void *first(void *arg)
{
	intptr_t n = (intptr_t)arg;

	for (int64_t warm = bench_now(); bench_still_cold(warm);)
		fib((void *)(n > 4 ? n - 4 : n));
	int64_t start = bench_now();
	intptr_t result = (intptr_t)fib(arg);
	bench_report("fib", (double)(bench_now() - start) / (double)fib_tasks(n), "ns");
	bench_check(result == fib_expected(n), "fib");
	return NULL;
}

int main(int argc, char **argv)
{
	run_with(bench_arg(argc, argv, 1), first, (void *)bench_arg(argc, argv, 2));
	return 0;
}
