/* SPDX-License-Identifier: MIT */
/*
 * chan pingpong WORKERS COUNT: two tasks and two rendezvous channels. The figure is that of a round
 * trip.
 *
 * chan many WORKERS TOTAL: four producers and four consumers over one channel of 128. The figure is
 * that of a message.
 */
#include "weft_bench.h"

#include <weft/chan.h>

#include <stdatomic.h>

#define SIDES 4

static long count;
static weft_chan *ping, *pong, *shared;
static atomic_long sum;

static void *partner(void *unused)
{
	long ball;

	while (weft_chan_recv(ping, &ball) == 0) {
		ball++;
		bench_check(weft_chan_send(pong, &ball) == 0, "weft_chan_send");
	}
	return unused;
}

static void *pingpong(void *unused)
{
	weft_task *task;
	long ball = 0;

	bench_check(weft_chan_create(sizeof ball, 0, &ping) == 0, "weft_chan_create");
	bench_check(weft_chan_create(sizeof ball, 0, &pong) == 0, "weft_chan_create");
	bench_check(weft_spawn(partner, NULL, &task) == 0, "weft_spawn");
	int64_t start = bench_now();
	for (long i = 0; i < count; i++) {
		bench_check(weft_chan_send(ping, &ball) == 0, "weft_chan_send");
		bench_check(weft_chan_recv(pong, &ball) == 0, "weft_chan_recv");
	}
	bench_report("pingpong", (double)(bench_now() - start) / (double)count, "ns");
	weft_chan_close(ping);
	bench_check(weft_join(task, NULL) == 0, "weft_join");
	bench_check(ball == count, "the count of turns");
	weft_chan_destroy(ping);
	weft_chan_destroy(pong);
	return unused;
}

static void *producer(void *unused)
{
	for (long n = 1; n <= count / SIDES; n++)
		bench_check(weft_chan_send(shared, &n) == 0, "weft_chan_send");
	return unused;
}

static void *consumer(void *unused)
{
	long value, mine = 0;

	while (weft_chan_recv(shared, &value) == 0)
		mine += value;
	/* relaxed: read after the joins. */
	atomic_fetch_add_explicit(&sum, mine, memory_order_relaxed);
	return unused;
}

static void *many(void *unused)
{
	weft_task *producers[SIDES], *consumers[SIDES];
	long each = count / SIDES;

	bench_check(weft_chan_create(sizeof(long), 128, &shared) == 0, "weft_chan_create");
	int64_t start = bench_now();
	for (int i = 0; i < SIDES; i++) {
		bench_check(weft_spawn(consumer, NULL, &consumers[i]) == 0, "weft_spawn");
		bench_check(weft_spawn(producer, NULL, &producers[i]) == 0, "weft_spawn");
	}
	for (int i = 0; i < SIDES; i++)
		bench_check(weft_join(producers[i], NULL) == 0, "weft_join");
	weft_chan_close(shared);
	for (int i = 0; i < SIDES; i++)
		bench_check(weft_join(consumers[i], NULL) == 0, "weft_join");
	bench_report("channel", (double)(bench_now() - start) / (double)(SIDES * each), "ns");
	bench_check(atomic_load_explicit(&sum, memory_order_relaxed) ==
			    SIDES * each * (each + 1) / 2,
		    "the sum of what was received");
	weft_chan_destroy(shared);
	return unused;
}

int main(int argc, char **argv)
{
	count = bench_arg(argc, argv, 3);
	run_with(bench_arg(argc, argv, 2), strcmp(argv[1], "many") == 0 ? many : pingpong, NULL);
	return 0;
}
