/* SPDX-License-Identifier: MIT */
/* The thread that submits a task changes its argument afterwards. */
/* races: change_argument, read_argument */
#include "../tsan.h"

static int argument = 1;

KEPT static void *read_argument(void *arg)
{
	int seen;

	RACE(seen = *(int *)arg);
	return seen ? arg : NULL;
}

KEPT static void change_argument(void)
{
	RACE(argument = 2);
}

int main(void)
{
	weft_runtime *rt;
	weft_task *task;

	MUST(weft_runtime_create(NULL, &rt) == 0);
	MUST(weft_submit(rt, read_argument, &argument, &task) == 0);
	change_argument();
	join(task);
	weft_runtime_destroy(rt);
	return argument != 2;
}
