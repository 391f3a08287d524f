/* SPDX-License-Identifier: MIT */
/*
 * select WORKERS CHANNELS TOTAL: there is a producer for each of CHANNELS rendezvous channels, and
 * one task that selects over all of them. The figure is that of a message.
 */
#include "weft_bench.h"

#include <weft/chan.h>

#define CHANNELS_MAX 16

static long channels, each;
static weft_chan *all[CHANNELS_MAX];

static void *producer(void *arg)
{
	for (long n = 1; n <= each; n++)
		bench_check(weft_chan_send(arg, &n) == 0, "weft_chan_send");
	return NULL;
}

static void *first(void *unused)
{
	struct weft_case cases[CHANNELS_MAX];
	weft_task *tasks[CHANNELS_MAX];
	long value = 0, sum = 0;

	for (long i = 0; i < channels; i++) {
		bench_check(weft_chan_create(sizeof value, 0, &all[i]) == 0, "weft_chan_create");
		bench_check(weft_spawn(producer, all[i], &tasks[i]) == 0, "weft_spawn");
		cases[i] = (struct weft_case){.op = WEFT_RECV, .chan = all[i], .elem = &value};
	}
	int64_t start = bench_now();
	for (long i = 0; i < channels * each; i++) {
		bench_check(weft_select(cases, (size_t)channels, WEFT_FOREVER) >= 0, "weft_select");
		sum += value;
	}
	bench_report("select", (double)(bench_now() - start) / (double)(channels * each), "ns");
	bench_check(sum == channels * each * (each + 1) / 2, "the sum of what was received");
	for (long i = 0; i < channels; i++) {
		bench_check(weft_join(tasks[i], NULL) == 0, "weft_join");
		weft_chan_destroy(all[i]);
	}
	return unused;
}

int main(int argc, char **argv)
{
	channels = bench_arg(argc, argv, 2);
	bench_check(channels <= CHANNELS_MAX, "at most 16 channels");
	each = bench_arg(argc, argv, 3) / channels;
	run_with(bench_arg(argc, argv, 1), first, NULL);
	return 0;
}
