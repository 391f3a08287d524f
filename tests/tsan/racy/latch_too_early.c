/* SPDX-License-Identifier: MIT */
/* Counts the latch down, then writes what it stands for. */
/* races: prepare, use */
#include "../tsan.h"

static weft_latch latch = WEFT_LATCH_INIT(1);
static int prepared;

KEPT static void *prepare(void *arg)
{
	weft_latch_count_down(&latch, 1);
	RACE(prepared = 1);
	return arg;
}

KEPT static int use(void)
{
	int seen;

	RACE(seen = prepared);
	return seen;
}

static void *user(void *arg)
{
	MUST(weft_latch_wait(&latch) == 0);
	printf("%d\n", use());
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(prepare, NULL), *second = spawn(user, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
