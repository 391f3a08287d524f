/* SPDX-License-Identifier: MIT */
/* Sleeps until the other has surely written. */
/* races: measure, display */
#include "../tsan.h"

static double temperature;

KEPT static void *measure(void *arg)
{
	RACE(temperature = 21.5);
	return arg;
}

KEPT static void *display(void *arg)
{
	double seen;

	weft_sleep(2000000);
	RACE(seen = temperature);
	printf("%.1f\n", seen);
	return arg;
}

static void *start(void *arg)
{
	weft_task *sensor = spawn(measure, NULL), *screen = spawn(display, NULL);

	join(sensor);
	join(screen);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
