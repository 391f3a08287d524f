/* SPDX-License-Identifier: MIT */
/*
 * A timer and a ticker beside a channel. The ticker says when to report; the timer notices that
 * nothing comes any more, and is reset by each message. A ticker drops what nobody takes in time,
 * and says how many.
 *
 * Go:     tick := time.NewTicker(d); idle := time.NewTimer(t); select { case <-tick.C: ... }
 * tokio:  let mut tick = interval(d); select! { _ = tick.tick() => ... }; sleep.reset(deadline)
 */
#include "../example.h"

#include <weft/weft.h>

#define MILLISECOND INT64_C(1000000)

static weft_chan *in;

/* Sends five numbers; then it hangs. */
static void *produce(void *arg)
{
	for (int n = 0; n < 5; n++) {
		CHECK(weft_chan_send(in, &n) == 0);
		CHECK(weft_sleep(2 * MILLISECOND) == 0);
	}
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return arg;
}

static void *run(void *arg)
{
	weft_timer tick, idle;
	uint64_t ticks, all_ticks = 0;
	weft_task *producer;
	int n, messages = 0;

	CHECK(weft_chan_create(sizeof n, 0, &in) == 0);
	CHECK(weft_spawn(produce, NULL, &producer) == 0);
	weft_timer_init(&tick);
	weft_timer_init(&idle);
	weft_timer_reset(&tick, weft_after(MILLISECOND), MILLISECOND);
	weft_timer_reset(&idle, weft_after(1000 * MILLISECOND), 0);

	struct weft_case cases[] = {
		{.op = WEFT_RECV, .chan = in, .elem = &n},
		{.op = WEFT_TIMER, .timer = &tick, .elem = &ticks},
		{.op = WEFT_TIMER, .timer = &idle},
	};
	for (;;) {
		int i = weft_select(cases, 3, WEFT_FOREVER);

		CHECK(i >= 0);
		if (i == 2)
			break;
		if (i == 1) {
			CHECK(ticks > 0);
			all_ticks += ticks; /* more than 1: it came late */
			continue;
		}
		messages++;
		/* Once all have come, it is idle after 30 ms. Until then a busy machine has time. */
		int64_t patience = messages < 5 ? 60000 : 30;
		CHECK(weft_timer_reset(&idle, weft_after(patience * MILLISECOND), 0));
	}
	CHECK(messages == 5);
	CHECK(weft_timer_stop(&tick));  /* it would have gone on */
	CHECK(!weft_timer_stop(&idle)); /* it has expired, and that was taken */
	CHECK(weft_cancel(producer) == 0);
	CHECK(weft_join(producer, NULL) == 0);
	weft_chan_destroy(in);
	printf("%d messages, then idle; %d ticks\n", messages, (int)all_ticks);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
