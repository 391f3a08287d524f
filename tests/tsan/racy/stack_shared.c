/* SPDX-License-Identifier: MIT */
/* An array on a task's stack, of which another task was given a piece that is too long. */
/* races: fill_lower, fill_upper */
#include "../tsan.h"

KEPT static void *fill_lower(void *arg)
{
	int *array = arg;

	for (int i = 0; i <= 4; i++)
		RACE(array[i] = i);
	return NULL;
}

KEPT static void fill_upper(int *array)
{
	for (int i = 4; i < 8; i++)
		RACE(array[i] = i);
}

static void *start(void *arg)
{
	int array[8];
	weft_task *task = spawn(fill_lower, array);

	fill_upper(array);
	join(task);
	MUST(array[4] == 4);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
