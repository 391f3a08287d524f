/* SPDX-License-Identifier: MIT */
/* The ranges of a parallel loop add to one sum. */
/* races: add_range, add_range */
#include "../tsan.h"

static long sum;

KEPT static void add_range(size_t lo, size_t hi, void *ctx)
{
	const long *numbers = ctx;

	for (size_t i = lo; i < hi; i++)
		RACE(sum += numbers[i]);
}

static void *start(void *arg)
{
	static const long numbers[4] = {1, 2, 3, 4};

	MUST(weft_for(0, 4, 1, add_range, (void *)numbers) == 0);
	return arg;
}

int main(void)
{
	run(start);
	return sum == 0;
}
