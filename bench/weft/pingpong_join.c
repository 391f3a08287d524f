/* SPDX-License-Identifier: MIT */
/*
 * pingpong_join WORKERS COUNT: the ball passes by joins alone. A task spawns the next one and joins
 * it, and that task gives the ball back by ending. The figure is that of a round trip.
 */
#include "weft_bench.h"

static long count;

static void *partner(void *turns)
{
	weft_yield(); /* lets the joiner wait: its wake is measured, not a join of what has ended */
	return (char *)turns + 1;
}

static void *first(void *unused)
{
	void *turns = NULL;

	int64_t start = bench_now();
	for (long i = 0; i < count; i++) {
		weft_task *task;
		bench_check(weft_spawn(partner, turns, &task) == 0, "weft_spawn");
		bench_check(weft_join(task, &turns) == 0, "weft_join");
	}
	bench_report("pingpong", (double)(bench_now() - start) / (double)count, "ns");
	bench_check((intptr_t)turns == count, "the count of turns");
	return unused;
}

int main(int argc, char **argv)
{
	count = bench_arg(argc, argv, 2);
	run_with(bench_arg(argc, argv, 1), first, NULL);
	return 0;
}
