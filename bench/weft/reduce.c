/* SPDX-License-Identifier: MIT */
/*
 * reduce WORKERS COUNT TOTAL: sums COUNT squares by weft_reduce(), again and again until it has
 * summed TOTAL squares.
 */
#include "../kernels.h"
#include "weft_bench.h"

static long count, total;

static void add_squares(size_t lo, size_t hi, void *acc, void *arg)
{
	*(double *)acc += squares(arg, lo, hi);
}

static void add(void *acc, const void *right, void *arg)
{
	(void)arg;
	*(double *)acc += *(const double *)right;
}

static double sum_of(double *x)
{
	double sum = 0;

	bench_check(weft_reduce(0, (size_t)count, 0, add_squares, add, x, NULL, sizeof sum, &sum) ==
			    0,
		    "weft_reduce");
	return sum;
}

static void *first(void *arg)
{
	double *x = squares_input((size_t)count), sum = 0;

	for (int64_t warm = bench_now(); bench_still_cold(warm);)
		sum = sum_of(x);
	int64_t start = bench_now();
	for (long i = 0; i < total / count; i++)
		sum = sum_of(x);
	bench_report("reduce", (double)(bench_now() - start) / (double)(total / count) / 1e3, "us");
	squares_check(x, (size_t)count, sum);
	free(x);
	return arg;
}

int main(int argc, char **argv)
{
	count = bench_arg(argc, argv, 2);
	total = bench_arg(argc, argv, 3);
	run_with(bench_arg(argc, argv, 1), first, NULL);
	return 0;
}
