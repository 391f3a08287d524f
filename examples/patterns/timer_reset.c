/* SPDX-License-Identifier: MIT */
/*
 * A timer that starts anew with each message: a connection that has been idle for too long is
 * closed. After a reset nobody receives an earlier expiry, so nothing has to be drained.
 *
 * Go:     t := time.NewTimer(idle); for { select { case <-in: t.Reset(idle); case <-t.C: return } }
 * tokio:  sleep.as_mut().reset(Instant::now() + idle) beside select! { _ = &mut sleep => ... }
 */
#include "../example.h"

#include <weft/weft.h>

enum { MESSAGES = 10, IDLE = 20000000 };

static weft_chan *in;

/* Sends for a while, and then no more. */
static void *client(void *arg)
{
	for (int n = 0; n < MESSAGES && weft_chan_send(in, &n) == 0; n++)
		weft_sleep(IDLE / 20);
	return arg;
}

/* Receives until the client has been idle for too long. Returns how many messages came. */
static int serve(void)
{
	int message, count = 0;
	int64_t last = weft_now();
	weft_timer idle;
	struct weft_case cases[] = {
		{.op = WEFT_RECV, .chan = in, .elem = &message},
		{.op = WEFT_TIMER, .timer = &idle},
	};

	weft_timer_init(&idle);
	weft_timer_reset(&idle, last + IDLE, 0);
	for (; weft_select(cases, 2, WEFT_FOREVER) == 0; count++) {
		CHECK(message == count);
		last = weft_now();
		weft_timer_reset(&idle, last + IDLE, 0);
	}
	CHECK(weft_now() >= last + IDLE);
	weft_chan_close(in);
	return count;
}

static void *run(void *arg)
{
	weft_task *task;

	CHECK(weft_chan_create(sizeof(int), 0, &in) == 0);
	CHECK(weft_spawn(client, NULL, &task) == 0);
	printf("idle after %d messages\n", serve());
	CHECK(weft_join(task, NULL) == 0);
	weft_chan_destroy(in);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
