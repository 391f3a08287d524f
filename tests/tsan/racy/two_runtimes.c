/* SPDX-License-Identifier: MIT */
/* Tasks of two runtimes. */
/* races: tick, tock */
#include "../tsan.h"

static long swings;

KEPT static void *tick(void *arg)
{
	RACE(swings++);
	return arg;
}

KEPT static void *tock(void *arg)
{
	RACE(swings++);
	return arg;
}

int main(void)
{
	weft_runtime *rts[2];
	weft_task *tasks[2];

	for (int i = 0; i < 2; i++)
		MUST(weft_runtime_create(NULL, &rts[i]) == 0);
	for (int i = 0; i < 2; i++)
		MUST(weft_submit(rts[i], i ? tick : tock, NULL, &tasks[i]) == 0);
	for (int i = 0; i < 2; i++)
		join(tasks[i]);
	for (int i = 0; i < 2; i++)
		weft_runtime_destroy(rts[i]);
	return swings != 2;
}
