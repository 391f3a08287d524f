/* SPDX-License-Identifier: MIT */
/* A task fills in its place only when it has passed the barrier that the others wait at to read
 * it. */
/* races: fill_in, sum_up */
#include "../tsan.h"

static weft_barrier barrier = WEFT_BARRIER_INIT(2);
static long places[2];

KEPT static void fill_in(void)
{
	RACE(places[1] = 5);
}

KEPT static long sum_up(void)
{
	long seen;

	RACE(seen = places[1]);
	return places[0] + seen;
}

static void *filler(void *arg)
{
	weft_barrier_wait(&barrier);
	fill_in();
	return arg;
}

static void *summer(void *arg)
{
	places[0] = 4;
	weft_barrier_wait(&barrier);
	MUST(sum_up() >= 4);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(filler, NULL), *second = spawn(summer, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
