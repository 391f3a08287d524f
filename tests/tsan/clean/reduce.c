/* SPDX-License-Identifier: MIT */
/* A reduction: the accumulators are Weft's, and what they point to belongs to the part that has
 * them. */
#include "../tsan.h"

#include <stdlib.h>

struct counts {
	long of[4];
};

static void count(size_t lo, size_t hi, void *acc, void *arg)
{
	struct counts **counts = acc;
	const int *numbers = arg;

	*counts = calloc(1, sizeof **counts);
	MUST(*counts != NULL);
	for (size_t i = lo; i < hi; i++)
		(*counts)->of[numbers[i]]++;
}

static void add(void *acc, const void *right, void *arg)
{
	struct counts **counts = acc, *const *more = right;

	(void)arg;
	for (int i = 0; i < 4; i++)
		(*counts)->of[i] += (*more)->of[i];
	free(*more);
}

static void *start(void *arg)
{
	struct counts *counts;
	int numbers[40];

	for (int i = 0; i < 40; i++)
		numbers[i] = i % 4;
	for (int round = 0; round < 2; round++) {
		MUST(weft_reduce(0, 40, 3, count, add, numbers, NULL, sizeof counts, &counts) == 0);
		for (int i = 0; i < 4; i++)
			MUST(counts->of[i] == 10);
		free(counts);
	}
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
