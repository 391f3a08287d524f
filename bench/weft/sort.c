/* SPDX-License-Identifier: MIT */
/*
 * sort WORKERS COUNT: quicksort of COUNT ints, with a task for the left side of each partition.
 */
#include "../kernels.h"
#include "weft_bench.h"

struct part {
	int *a;
	size_t n;
};

static void *sort(void *arg)
{
	struct part *part = arg;

	if (part->n <= SORT_CUTOFF) {
		sort_serial(part->a, part->n);
		return NULL;
	}
	size_t left = sort_partition(part->a, part->n);
	struct part parts[] = {{part->a, left}, {part->a + left, part->n - left}};
	weft_forked fork;
	weft_fork(&fork, sort, &parts[0]);
	sort(&parts[1]);
	weft_fork_join(&fork);
	return NULL;
}

static void *first(void *arg)
{
	size_t n = (size_t)arg;
	uint64_t sum;
	int *a = sort_input(n, &sum);

	int64_t start = bench_now();
	sort(&(struct part){a, n});
	bench_report("sort", (double)(bench_now() - start) / 1e6, "ms");
	sort_check(a, n, sum);
	free(a);
	return NULL;
}

int main(int argc, char **argv)
{
	run_with(bench_arg(argc, argv, 1), first, (void *)bench_arg(argc, argv, 2));
	return 0;
}
