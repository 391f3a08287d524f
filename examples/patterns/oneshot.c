/* SPDX-License-Identifier: MIT */
/*
 * One answer to one question. The question carries a channel for the answer. Both sides have a
 * reference to it, and either may give up first. A client that has waited long enough closes the
 * channel, and the server's send returns -EPIPE.
 *
 * Go:     type request struct { n int; reply chan int }  with make(chan int, 1)
 * tokio:  let (tx, rx) = oneshot::channel(); requests.send((n, tx)).await?; let r = rx.await?;
 */
#include "../example.h"

#include <weft/weft.h>

enum { SLOW = 99 };

struct request {
	int n;
	weft_chan *reply; /* holds one; the server gives up its reference */
};

static weft_chan *requests;
static weft_event gone = WEFT_EVENT_INIT; /* the impatient client has left */

/* The square of n, unless the deadline passes before. */
static int ask(int n, int64_t deadline, int *ret_square)
{
	struct request r = {.n = n};
	int err;

	CHECK(weft_chan_create(sizeof(int), 1, &r.reply) == 0);
	weft_chan_ref(r.reply); /* the server's */
	CHECK(weft_chan_send(requests, &r) == 0);
	err = weft_chan_recv_until(r.reply, ret_square, deadline);
	weft_chan_close(r.reply);
	weft_chan_unref(r.reply);
	return err;
}

/* Returns how many clients had left. */
static void *serve(void *arg)
{
	intptr_t late = 0;
	struct request r;

	(void)arg;
	while (weft_chan_recv(requests, &r) == 0) {
		int square = r.n * r.n;

		if (r.n == SLOW)
			CHECK(weft_event_wait(&gone) == 0);
		late += weft_chan_send(r.reply, &square) == -EPIPE; /* never waits */
		weft_chan_unref(r.reply);
	}
	return (void *)late;
}

static void *run(void *arg)
{
	weft_task *server;
	int square;
	void *late;

	CHECK(weft_chan_create(sizeof(struct request), 0, &requests) == 0);
	CHECK(weft_spawn(serve, NULL, &server) == 0);
	CHECK(ask(7, WEFT_FOREVER, &square) == 0 && square == 49);
	CHECK(ask(SLOW, weft_after(1000000), &square) == -ETIMEDOUT);
	weft_event_set(&gone);
	weft_chan_close(requests);
	CHECK(weft_join(server, &late) == 0);
	CHECK((intptr_t)late == 1);
	weft_chan_destroy(requests);
	printf("7 * 7 = 49; the other client did not wait\n");
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
