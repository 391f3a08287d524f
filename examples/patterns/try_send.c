/* SPDX-License-Identifier: MIT */
/*
 * Does not wait. If the reader is too slow, measurements are dropped and counted. So taking a
 * measurement never delays a task.
 *
 * Go:     select { case samples <- s: default: dropped++ }
 * tokio:  if tx.try_send(s).is_err() { dropped += 1 }
 */
#include "../example.h"

#include <weft/weft.h>

#include <stdatomic.h>

enum { SOURCES = 4, SAMPLES = 500, BUFFER = 16 };

static weft_chan *samples;
static atomic_int dropped;

static void *measure(void *arg)
{
	for (int i = 0; i < SAMPLES; i++) {
		int err = weft_chan_try_send(samples, &i);

		CHECK(err == 0 || err == -EAGAIN);
		if (err == -EAGAIN) /* relaxed: read after the group's wait */
			atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
		if (i % 50 == 0)
			weft_yield(); /* a try never gives way by itself */
	}
	return arg;
}

/* Returns how many samples it received. */
static void *collect(void *arg)
{
	intptr_t count = 0;
	int sample;

	(void)arg;
	while (weft_chan_recv(samples, &sample) == 0)
		count++;
	return (void *)count;
}

static void *run(void *arg)
{
	weft_task *collector;
	weft_group sources;
	void *count;

	CHECK(weft_chan_create(sizeof(int), BUFFER, &samples) == 0);
	CHECK(weft_spawn(collect, NULL, &collector) == 0);
	weft_group_init(&sources);
	for (int i = 0; i < SOURCES; i++)
		CHECK(weft_group_spawn(&sources, measure, NULL) == 0);
	CHECK(weft_group_wait(&sources) == 0);
	weft_group_fini(&sources);
	weft_chan_close(samples);
	CHECK(weft_join(collector, &count) == 0);
	weft_chan_destroy(samples);

	int lost = atomic_load_explicit(&dropped, memory_order_relaxed);
	printf("%d samples received or dropped\n", (int)(intptr_t)count + lost);
	CHECK((intptr_t)count + lost == SOURCES * SAMPLES && (intptr_t)count >= BUFFER);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
