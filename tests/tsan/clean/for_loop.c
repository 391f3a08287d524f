/* SPDX-License-Identifier: MIT */
/* A parallel loop: each index has its own place, and the places are the caller's again
 * afterwards. */
#include "../tsan.h"

static void fill(size_t lo, size_t hi, void *ctx)
{
	long *places = ctx;

	for (size_t i = lo; i < hi; i++)
		places[i] += (long)i;
}

static void *start(void *arg)
{
	long places[20] = {0}, sum = 0;

	for (int round = 0; round < 2; round++)
		MUST(weft_for(0, 20, 2, fill, places) == 0);
	for (int i = 0; i < 20; i++)
		sum += places[i];
	MUST(sum == 380);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
