/* SPDX-License-Identifier: MIT */
/*
 * queens WORKERS N: counts the solutions of the N-queens problem, a task for each safe
 * placement.
 */
#include "../kernels.h"
#include "weft_bench.h"

struct node {
	struct board board;
	int row, n;
};

static void *place(void *arg)
{
	struct node *node = arg;
	struct node next[QUEENS_MAX];
	weft_forked forks[QUEENS_MAX];
	intptr_t solutions = 0;
	int count = 0;

	if (node->row == node->n)
		return (void *)1;
	for (int column = 0; column < node->n; column++) {
		if (!board_safe(&node->board, node->row, column))
			continue;
		next[count] = *node;
		next[count].board.column[next[count].row++] = (signed char)column;
		weft_fork(&forks[count], place, &next[count]);
		count++;
	}
	while (count > 0)
		solutions += (intptr_t)weft_fork_join(&forks[--count]);
	return (void *)solutions;
}

static void *first(void *arg)
{
	int n = (int)(intptr_t)arg;
	struct node root = {.n = n};
	struct node small = {.n = n - 1};

	for (int64_t warm = bench_now(); bench_still_cold(warm);)
		place(&small);
	int64_t start = bench_now();
	intptr_t solutions = (intptr_t)place(&root);
	bench_report("queens", (double)(bench_now() - start) / 1e6, "ms");
	bench_check(solutions == queens_expected(n), "the count of solutions");
	return NULL;
}

int main(int argc, char **argv)
{
	run_with(bench_arg(argc, argv, 1), first, (void *)bench_arg(argc, argv, 2));
	return 0;
}
