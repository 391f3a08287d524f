/* SPDX-License-Identifier: MIT */
/* Reads the result before it has joined the task that makes it. */
/* races: compute, peek */
#include "../tsan.h"

static long result;

KEPT static void *compute(void *arg)
{
	RACE(result = 42);
	return arg;
}

KEPT static long peek(void)
{
	long seen;

	RACE(seen = result);
	return seen;
}

static void *start(void *arg)
{
	weft_task *task = spawn(compute, NULL);
	long early = peek();

	join(task);
	printf("%ld\n", early);
	return arg;
}

int main(void)
{
	run(start);
	return result != 42;
}
