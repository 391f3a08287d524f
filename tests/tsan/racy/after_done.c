/* SPDX-License-Identifier: MIT */
/* A task fills in its place only when it has told the wait group that it is done. */
/* races: fill_in, read_it */
#include "../tsan.h"

static weft_waitgroup wg = WEFT_WAITGROUP_INIT;
static long place;

KEPT static void fill_in(void)
{
	RACE(place = 5);
}

KEPT static long read_it(void)
{
	long seen;

	RACE(seen = place);
	return seen;
}

static void *work(void *arg)
{
	weft_waitgroup_done(&wg);
	fill_in();
	return arg;
}

static void *start(void *arg)
{
	weft_waitgroup_add(&wg, 1);
	weft_task *task = spawn(work, NULL);
	MUST(weft_waitgroup_wait(&wg) == 0);
	MUST(read_it() >= 0);
	join(task);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
