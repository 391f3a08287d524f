/* SPDX-License-Identifier: MIT */
/* All tasks get the address of the loop's variable. */
/* races: print_number, spawn_all */
#include "../tsan.h"

KEPT static void *print_number(void *arg)
{
	printf("%d\n", *(int *)arg);
	return arg;
}

KEPT static void spawn_all(weft_task **tasks, int *i)
{
	for (*i = 0; *i < 3; (*i)++)
		tasks[*i] = spawn(print_number, i);
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
