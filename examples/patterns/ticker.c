/* SPDX-License-Identifier: MIT */
/*
 * Does something at regular times, beside messages. Ticks that nobody took in time are not made up
 * for: the next tick says how many there have been.
 *
 * Go:     t := time.NewTicker(d); for { select { case <-t.C: ...; case v, ok := <-in: ... } }
 * tokio:  let mut t = interval(d); t.set_missed_tick_behavior(Skip); select! { _ = t.tick() => ... }
 */
#include "../example.h"

#include <weft/weft.h>

enum { TICKS = 10, PERIOD = 1000000 };

static weft_chan *values;

static void *count(void *arg)
{
	for (int n = 0; weft_chan_send(values, &n) == 0; n++)
		weft_sleep(PERIOD / 3);
	return arg;
}

static void *run(void *arg)
{
	uint64_t ticks, all = 0;
	int value, received = 0;
	weft_task *counter;
	weft_timer timer;

	CHECK(weft_chan_create(sizeof(int), 0, &values) == 0);
	CHECK(weft_spawn(count, NULL, &counter) == 0);

	int64_t start = weft_now();
	struct weft_case cases[] = {
		{.op = WEFT_TIMER, .timer = &timer, .elem = &ticks},
		{.op = WEFT_RECV, .chan = values, .elem = &value},
	};

	weft_timer_init(&timer);
	weft_timer_reset(&timer, start + PERIOD, PERIOD);
	while (all < TICKS) {
		int i = weft_select(cases, 2, WEFT_FOREVER);

		CHECK(i >= 0);
		if (i == 1) {
			CHECK(value == received++);
		} else {
			all += ticks; /* 1, unless some were missed */
			CHECK(weft_now() >= start + (int64_t)all * PERIOD);
		}
	}
	weft_timer_stop(&timer);
	weft_chan_close(values);
	CHECK(weft_join(counter, NULL) == 0);
	weft_chan_destroy(values);
	printf("%d ticks or more, and some values\n", TICKS);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
