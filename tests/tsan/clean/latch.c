/* SPDX-License-Identifier: MIT */
/* Workers count a latch down as they finish; two wait for all of them. */
#include "../tsan.h"

static weft_latch latch = WEFT_LATCH_INIT(3);
static long results[3];

static void *work(void *arg)
{
	*(long *)arg = 5;
	weft_latch_count_down(&latch, 1);
	return arg;
}

static void *sum_up(void *arg)
{
	MUST(weft_latch_wait(&latch) == 0);
	MUST(results[0] + results[1] + results[2] == 15);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(sum_up, NULL), *second = spawn(sum_up, NULL);

	for (int i = 0; i < 3; i++)
		spawn_detached(work, &results[i]);
	join(first);
	join(second);
	MUST(weft_latch_wait(&latch) == 0);
	results[0] = 0;
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
