/* SPDX-License-Identifier: MIT */
/*
 * skynet WORKERS LEAVES: a tree of tasks with ten children each. Every leaf returns its number, and
 * every node the sum of its children.
 */
#include "weft_bench.h"

struct node {
	long number, size;
};

static void *sum(void *arg)
{
	const struct node *node = arg;
	struct node children[10];
	weft_forked forks[10];
	intptr_t total = 0;

	if (node->size == 1)
		return (void *)node->number;
	for (int i = 0; i < 10; i++) {
		children[i].size = node->size / 10;
		children[i].number = node->number + i * children[i].size;
		weft_fork(&forks[i], sum, &children[i]);
	}
	for (int i = 9; i >= 0; i--)
		total += (intptr_t)weft_fork_join(&forks[i]);
	return (void *)total;
}

static void *first(void *arg)
{
	long leaves = (long)arg;
	struct node root = {0, leaves};

	for (int64_t warm = bench_now(); bench_still_cold(warm);)
		sum(&root);
	int64_t start = bench_now();
	intptr_t total = (intptr_t)sum(&root);
	bench_report("skynet", (double)(bench_now() - start) / 1e6, "ms");
	bench_check(total == leaves * (leaves - 1) / 2, "the sum");
	return NULL;
}

int main(int argc, char **argv)
{
	run_with(bench_arg(argc, argv, 1), first, (void *)bench_arg(argc, argv, 2));
	return 0;
}
