/* SPDX-License-Identifier: MIT */
/* Reads what a task leaves behind as soon as it has cancelled it. */
/* races: wind_up, collect */
#include "../tsan.h"

static int state;

KEPT static void wind_up(void)
{
	RACE(state = 1);
}

KEPT static int collect(void)
{
	int seen;

	RACE(seen = state);
	return seen;
}

static void *worker(void *arg)
{
	MUST(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	wind_up();
	return arg;
}

static void *start(void *arg)
{
	weft_task *task = spawn(worker, NULL);

	weft_cancel(task);
	printf("%d\n", collect());
	join(task);
	return arg;
}

int main(void)
{
	run(start);
	return state != 1;
}
