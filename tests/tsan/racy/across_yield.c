/* SPDX-License-Identifier: MIT */
/* A task reads, yields, and writes what it made of it. That nothing else runs meanwhile is taken
 * for granted. */
/* races: withdraw, withdraw */
#include "../tsan.h"

static long balance = 100;

KEPT static void *withdraw(void *arg)
{
	long now;

	RACE(now = balance);
	weft_yield();
	RACE(balance = now - 10);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(withdraw, NULL), *second = spawn(withdraw, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	printf("%ld\n", balance);
	return 0;
}
