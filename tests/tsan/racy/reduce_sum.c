/* SPDX-License-Identifier: MIT */
/* The bodies of a reduction add to one sum, beside their own. */
/* races: add_range, add_range */
#include "../tsan.h"

static long sum;

KEPT static void add_range(size_t lo, size_t hi, void *acc, void *arg)
{
	const long *numbers = arg;

	for (size_t i = lo; i < hi; i++) {
		*(long *)acc += numbers[i];
		RACE(sum += numbers[i]);
	}
}

static void add(void *acc, const void *right, void *arg)
{
	(void)arg;
	*(long *)acc += *(const long *)right;
}

static void *start(void *arg)
{
	static const long numbers[4] = {1, 2, 3, 4};
	long result;

	MUST(weft_reduce(0, 4, 1, add_range, add, (void *)numbers, NULL, sizeof result, &result) ==
	     0);
	MUST(result == 10);
	return arg;
}

int main(void)
{
	run(start);
	return sum == 0;
}
