/* SPDX-License-Identifier: MIT */
/* All tasks get the address of the loop's variable. */
/* races: print_number, spawn_all */
#include "../tsan.h"

KEPT static void *print_number(void *arg)
{
	int number;

	RACE(number = *(int *)arg);
	printf("%d\n", number);
	return arg;
}

KEPT static void spawn_all(weft_task **tasks, int *i)
{
	for (int next = 0; next < 3; next++) {
		RACE(*i = next);
		tasks[next] = spawn(print_number, i);
	}
}

static void *start(void *arg)
{
	weft_task *tasks[3];
	int i;

	spawn_all(tasks, &i);
	for (int j = 0; j < 3; j++)
		join(tasks[j]);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
