/* SPDX-License-Identifier: MIT */
/*
 * condition WORKERS COUNT: two tasks pass a turn to each other under a mutex, by one condition. The
 * figure is that of a round trip.
 */
#include "weft_bench.h"

#include <weft/sync.h>

static long count;
static weft_mutex mutex = WEFT_MUTEX_INIT;
static weft_cond changed = WEFT_COND_INIT;
static bool theirs; /* under mutex, both */
static long turns;

static void *partner(void *unused)
{
	for (long i = 0; i < count; i++) {
		weft_mutex_lock(&mutex);
		while (!theirs)
			bench_check(weft_cond_wait(&changed, &mutex) == 0, "weft_cond_wait");
		theirs = false;
		turns++;
		weft_cond_signal(&changed);
		weft_mutex_unlock(&mutex);
	}
	return unused;
}

static void *first(void *unused)
{
	weft_task *task;

	bench_check(weft_spawn(partner, NULL, &task) == 0, "weft_spawn");
	int64_t start = bench_now();
	for (long i = 0; i < count; i++) {
		weft_mutex_lock(&mutex);
		theirs = true;
		weft_cond_signal(&changed);
		while (theirs)
			bench_check(weft_cond_wait(&changed, &mutex) == 0, "weft_cond_wait");
		weft_mutex_unlock(&mutex);
	}
	bench_report("condition", (double)(bench_now() - start) / (double)count, "ns");
	bench_check(weft_join(task, NULL) == 0, "weft_join");
	bench_check(turns == count, "the count of turns");
	return unused;
}

int main(int argc, char **argv)
{
	count = bench_arg(argc, argv, 2);
	run_with(bench_arg(argc, argv, 1), first, NULL);
	return 0;
}
