/* SPDX-License-Identifier: MIT */
/* Two tasks count in the same variable. */
/* races: bump, bump */
#include "../tsan.h"

static long counter;

KEPT static void *bump(void *arg)
{
	RACE(counter++);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(bump, NULL), *second = spawn(bump, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return counter != 2;
}
