/* SPDX-License-Identifier: MIT */
/*
 * pingpong WORKERS COUNT: two tasks wait for each other, with a semaphore for each direction. The
 * figure is that of a round trip.
 */
#include "weft_bench.h"

#include <weft/sync.h>

static long count;
static weft_sem ping, pong;
static long turns; /* of whoever has the ball */

static void *partner(void *unused)
{
	for (long i = 0; i < count; i++) {
		bench_check(weft_sem_acquire(&ping) == 0, "weft_sem_acquire");
		turns++;
		weft_sem_release(&pong, 1);
	}
	return unused;
}

static void *first(void *unused)
{
	weft_task *task;

	weft_sem_init(&ping, 0);
	weft_sem_init(&pong, 0);
	bench_check(weft_spawn(partner, NULL, &task) == 0, "weft_spawn");
	int64_t start = bench_now();
	for (long i = 0; i < count; i++) {
		weft_sem_release(&ping, 1);
		bench_check(weft_sem_acquire(&pong) == 0, "weft_sem_acquire");
		turns++;
	}
	bench_report("pingpong", (double)(bench_now() - start) / (double)count, "ns");
	bench_check(weft_join(task, NULL) == 0, "weft_join");
	bench_check(turns == 2 * count, "the count of turns");
	return unused;
}

int main(int argc, char **argv)
{
	count = bench_arg(argc, argv, 2);
	run_with(bench_arg(argc, argv, 1), first, NULL);
	return 0;
}
