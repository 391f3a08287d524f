/* SPDX-License-Identifier: MIT */
/*
 * The work of the fork-join benchmarks, without the tasks. Weft, the peers in C and C++, and the
 * serial programs beside them share this code.
 */
#ifndef BENCH_KERNELS_H
#define BENCH_KERNELS_H

#include "bench.h"

/* --- fib --- */

static inline long fib_tasks(long n) /* how many calls have a task: each with n >= 2 */
{
	long a = 1, b = 1;

	for (long i = 0; i < n; i++) {
		long next = a + b;
		a = b;
		b = next;
	}
	return a - 1;
}

static inline long fib_expected(long n)
{
	long a = 0, b = 1;

	for (long i = 0; i < n; i++) {
		long next = a + b;
		a = b;
		b = next;
	}
	return a;
}

/* --- N-queens: a task for each safe placement, no cut-off --- */

#define QUEENS_MAX 16

struct board {
	signed char column[QUEENS_MAX];
};

static inline bool board_safe(const struct board *board, int row, int column)
{
	for (int i = 0; i < row; i++) {
		int distance = board->column[i] - column;
		if (distance == 0 || distance == row - i || distance == i - row)
			return false;
	}
	return true;
}

static inline long queens_expected(long n)
{
	static const long solutions[] = {1,  1,  0,   0,   2,    10,    4,
					 40, 92, 352, 724, 2680, 14200, 73712};

	bench_check(n >= 1 && n <= 13, "N-queens: from 1 to 13");
	return solutions[n];
}

/* --- quicksort --- */

#define SORT_CUTOFF 4096 /* below it no task */
#define SORT_SMALL  24

static inline void sort_small(int *a, size_t n)
{
	for (size_t i = 1; i < n; i++) {
		int value = a[i];
		size_t j = i;
		for (; j > 0 && a[j - 1] > value; j--)
			a[j] = a[j - 1];
		a[j] = value;
	}
}

static inline int median_of_3(int a, int b, int c)
{
	if (a < b)
		return b < c ? b : a < c ? c : a;
	return a < c ? a : b < c ? c : b;
}

/*
 * Hoare's: afterwards nothing in [0, returned) is larger than anything in [returned, n); neither
 * is empty.
 */
static inline size_t sort_partition(int *a, size_t n)
{
	size_t s = n / 8;
	int pivot = median_of_3(median_of_3(a[0], a[s], a[2 * s]),
				median_of_3(a[3 * s], a[4 * s], a[5 * s]),
				median_of_3(a[6 * s], a[7 * s], a[n - 1]));
	size_t i = 0, j = n - 1;

	for (;;) {
		while (a[i] < pivot)
			i++;
		while (a[j] > pivot)
			j--;
		if (i >= j)
			return i > 0 ? i : 1;
		int swap = a[i];
		a[i++] = a[j];
		a[j--] = swap;
	}
}

static inline void sort_serial(int *a, size_t n)
{
	while (n > SORT_SMALL) {
		size_t left = sort_partition(a, n);
		sort_serial(a, left);
		a += left;
		n -= left;
	}
	sort_small(a, n);
}

/* n pseudo-random numbers, always the same, and their sum. */
static inline int *sort_input(size_t n, uint64_t *ret_sum)
{
	int *a = (int *)malloc(n * sizeof *a);
	uint64_t state = 88172645463325252ULL;

	bench_check(a != NULL, "out of memory");
	*ret_sum = 0;
	for (size_t i = 0; i < n; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		a[i] = (int)(state >> 33);
		*ret_sum += (uint64_t)a[i];
	}
	return a;
}

static inline void sort_check(const int *a, size_t n, uint64_t sum)
{
	for (size_t i = 0; i < n; i++) {
		sum -= (uint64_t)a[i];
		bench_check(i == 0 || a[i - 1] <= a[i], "not sorted");
	}
	bench_check(sum == 0, "other numbers than before");
}

/* --- the sum of squares of so many numbers, again and again --- */

static inline double *squares_input(size_t n)
{
	double *x = (double *)malloc(n * sizeof *x);

	bench_check(x != NULL, "out of memory");
	for (size_t i = 0; i < n; i++)
		x[i] = (double)(i % 64);
	return x;
}

static inline double squares(const double *x, size_t lo, size_t hi)
{
	double sum = 0;

	for (size_t i = lo; i < hi; i++)
		sum += x[i] * x[i];
	return sum;
}

/* Small whole numbers, so it is exact in any order. */
static inline void squares_check(const double *x, size_t n, double sum)
{
	bench_check(sum == squares(x, 0, n), "the sum of squares");
}

#endif
