/* SPDX-License-Identifier: MIT */
/* openmp ROW WORKERS ARGUMENT...: GCC's OpenMP: tasks, and reductions. */
#include "../kernels.h"

#include <omp.h>

static long result;

static void spawn(char **argv)
{
	long count = atol(argv[0]), sum = 0;
	int64_t start = 0;

	for (long i = -count / 10; i < count; i++) {
		long value = 0;
		if (i == 0)
			start = bench_now();
#pragma omp task shared(value) firstprivate(i)
		value = i;
#pragma omp taskwait
		if (i >= 0)
			sum += value;
	}
	bench_report("spawn", (double)(bench_now() - start) / (double)count, "ns");
	bench_check(sum == count * (count - 1) / 2, "the sum of the results");
}

static void million(char **argv)
{
	long count = atol(argv[0]), sum = 0;
	long *results = (long *)malloc((size_t)count * sizeof *results);

	bench_check(results != NULL, "out of memory");
	int64_t start = bench_now();
	for (long i = 0; i < count; i++) {
#pragma omp task firstprivate(i, results)
		results[i] = i;
	}
#pragma omp taskwait
	for (long i = 0; i < count; i++)
		sum += results[i];
	bench_report("million", (double)(bench_now() - start) / (double)count, "ns");
	bench_check(sum == count * (count - 1) / 2, "the sum of the results");
	bench_report("million_peak", bench_status("VmHWM") / (1 << 20), "MiB");
	free(results);
}

static long fib_task(long n)
{
	long a, b;

	if (n < 2)
		return n;
#pragma omp task shared(a) firstprivate(n)
	a = fib_task(n - 1);
	b = fib_task(n - 2);
#pragma omp taskwait
	return a + b;
}

static void fib(char **argv)
{
	long n = atol(argv[0]);

	for (int64_t warm = bench_now(); bench_still_cold(warm);)
		fib_task(n - 4);
	int64_t start = bench_now();
	result = fib_task(n);
	bench_report("fib", (double)(bench_now() - start) / (double)fib_tasks(n), "ns");
	bench_check(result == fib_expected(n), "fib");
}

static long place(struct board board, int row, int n)
{
	long solutions[QUEENS_MAX] = {0}, sum = 0;

	if (row == n)
		return 1;
	for (int column = 0; column < n; column++) {
		if (!board_safe(&board, row, column))
			continue;
		struct board next = board;
		next.column[row] = (signed char)column;
#pragma omp task shared(solutions) firstprivate(next, row, n, column)
		solutions[column] = place(next, row + 1, n);
	}
#pragma omp taskwait
	for (int column = 0; column < n; column++)
		sum += solutions[column];
	return sum;
}

static void queens(char **argv)
{
	int n = atoi(argv[0]);
	struct board board = {{0}};

	for (int64_t warm = bench_now(); bench_still_cold(warm);)
		place(board, 0, n - 1);
	int64_t start = bench_now();
	result = place(board, 0, n);
	bench_report("queens", (double)(bench_now() - start) / 1e6, "ms");
	bench_check(result == queens_expected(n), "the count of solutions");
}

static void sort_task(int *a, size_t n)
{
	if (n <= SORT_CUTOFF) {
		sort_serial(a, n);
		return;
	}
	size_t left = sort_partition(a, n);
#pragma omp task firstprivate(a, left)
	sort_task(a, left);
	sort_task(a + left, n - left);
#pragma omp taskwait
}

static void sort(char **argv)
{
	size_t n = (size_t)atol(argv[0]);
	uint64_t sum;
	int *a = sort_input(n, &sum);

	int64_t start = bench_now();
	sort_task(a, n);
	bench_report("sort", (double)(bench_now() - start) / 1e6, "ms");
	sort_check(a, n, sum);
	free(a);
}

static long sum_task(long number, long size)
{
	long sums[10], total = 0;

	if (size == 1)
		return number;
	for (int i = 0; i < 10; i++) {
#pragma omp task shared(sums) firstprivate(i, number, size)
		sums[i] = sum_task(number + i * (size / 10), size / 10);
	}
#pragma omp taskwait
	for (int i = 0; i < 10; i++)
		total += sums[i];
	return total;
}

static void skynet(char **argv)
{
	long leaves = atol(argv[0]);

	for (int64_t warm = bench_now(); bench_still_cold(warm);)
		sum_task(0, leaves);
	int64_t start = bench_now();
	result = sum_task(0, leaves);
	bench_report("skynet", (double)(bench_now() - start) / 1e6, "ms");
	bench_check(result == leaves * (leaves - 1) / 2, "the sum");
}

static double sum_of(const double *x, long n)
{
	double sum = 0;

#pragma omp parallel for reduction(+ : sum)
	for (long i = 0; i < n; i++)
		sum += x[i] * x[i];
	return sum;
}

static void reduce(char **argv)
{
	long count = atol(argv[0]), total = atol(argv[1]);
	double *x = squares_input((size_t)count), sum = 0;

	for (int64_t warm = bench_now(); bench_still_cold(warm);)
		sum = sum_of(x, count);
	int64_t start = bench_now();
	for (long i = 0; i < total / count; i++)
		sum = sum_of(x, count);
	bench_report("reduce", (double)(bench_now() - start) / (double)(total / count) / 1e3, "us");
	squares_check(x, (size_t)count, sum);
	free(x);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(char **argv);
		bool loops; /* begins its own parallel regions */
	} rows[] = {
		{"spawn", spawn, false},   {"million", million, false}, {"fib", fib, false},
		{"queens", queens, false}, {"sort", sort, false},       {"skynet", skynet, false},
		{"reduce", reduce, true},
	};

	for (size_t i = 0; argc > 3 && i < sizeof rows / sizeof *rows; i++) {
		if (strcmp(rows[i].name, argv[1]) != 0)
			continue;
		omp_set_num_threads(atoi(argv[2]));
		if (rows[i].loops) {
			rows[i].run(argv + 3);
			return 0;
		}
#pragma omp parallel
#pragma omp single
		rows[i].run(argv + 3);
		return 0;
	}
	fprintf(stderr, "usage: openmp ROW WORKERS ARGUMENT...\n");
	return 2;
}
