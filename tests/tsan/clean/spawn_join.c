/* SPDX-License-Identifier: MIT */
/* What the spawner wrote is the task's, what the task wrote is the joiner's. */
#include "../tsan.h"

static void *square(void *arg)
{
	long *number = arg;

	*number *= *number;
	return number;
}

static void *start(void *arg)
{
	long numbers[4];
	weft_task *tasks[4];

	for (int i = 0; i < 4; i++) {
		numbers[i] = i;
		tasks[i] = spawn(square, &numbers[i]);
	}
	for (int i = 0; i < 4; i++) {
		long *number = join(tasks[i]);
		MUST(*number == i * i);
		numbers[i] = 0;
	}
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
