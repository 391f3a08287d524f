/* SPDX-License-Identifier: MIT */
/* A thread hands two tasks to a runtime. That it did so in this order does not order them. */
/* races: log_line, log_line */
#include "../tsan.h"

static long lines;

KEPT static void *log_line(void *arg)
{
	RACE(lines++);
	return arg;
}

int main(void)
{
	weft_runtime *rt;
	weft_task *tasks[2];

	MUST(weft_runtime_create(NULL, &rt) == 0);
	for (int i = 0; i < 2; i++)
		MUST(weft_submit(rt, log_line, NULL, &tasks[i]) == 0);
	join(tasks[0]);
	join(tasks[1]);
	weft_runtime_destroy(rt);
	return lines != 2;
}
