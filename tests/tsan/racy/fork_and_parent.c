/* SPDX-License-Identifier: MIT */
/* A parent goes on with what it has given to a fork. */
/* races: half, other_half */
#include "../tsan.h"

static long sum;

KEPT static void *half(void *arg)
{
	RACE(sum += 1);
	return arg;
}

KEPT static void other_half(void)
{
	RACE(sum += 2);
}

static void *start(void *arg)
{
	weft_forked fork;

	weft_fork(&fork, half, NULL);
	other_half();
	weft_fork_join(&fork);
	return arg;
}

int main(void)
{
	run(start);
	return sum != 3;
}
