/* SPDX-License-Identifier: MIT */
/*
 * Waits for messages, but not for ever. A deadline is a moment, not a duration. The same deadline
 * in every round limits the whole loop. A new one in each round limits the pause between two
 * messages.
 *
 * Go:     end := time.After(d); for { select { case v := <-in: ...; case <-end: return } }
 * tokio:  timeout_at(end, rx.recv()).await; or select! with a sleep_until that is pinned
 */
#include "../example.h"

#include <weft/weft.h>

#define MILLISECOND INT64_C(1000000)

static weft_chan *in;

/* Sends five numbers; then it hangs. */
static void *produce(void *arg)
{
	for (int n = 0; n < 5; n++)
		CHECK(weft_chan_send(in, &n) == 0);
	CHECK(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	return arg;
}

/* Counts what comes until `end`. */
static int receive_until(int64_t end)
{
	int n, count = 0, err;

	while ((err = weft_chan_recv_until(in, &n, end)) == 0)
		count++;
	CHECK(err == -ETIMEDOUT);
	return count;
}

/* The same with a select, for several channels. NULL: one that is never ready. */
static int select_until(int64_t end)
{
	struct weft_case cases[] = {
		{.op = WEFT_RECV, .chan = in},
		{.op = WEFT_RECV, .chan = NULL},
	};
	int i;

	while ((i = weft_select(cases, 2, end)) >= 0)
		CHECK(i == 0);
	return i;
}

static void *run(void *arg)
{
	weft_task *producer;

	CHECK(weft_chan_create(sizeof(int), 5, &in) == 0);
	CHECK(weft_spawn(produce, NULL, &producer) == 0);
	int64_t start = weft_now(), end = start + 20 * MILLISECOND;
	int count = receive_until(end);

	CHECK(weft_now() >= end);
	CHECK(select_until(weft_after(MILLISECOND)) == -ETIMEDOUT);
	CHECK(weft_cancel(producer) == 0);
	CHECK(weft_join(producer, NULL) == 0);
	weft_chan_destroy(in);
	printf("%d messages in 20 ms\n", count);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
