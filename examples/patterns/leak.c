/* SPDX-License-Identifier: MIT */
/*
 * Asks several servers and takes the first answer. In Go the others stay in their sends for ever: a
 * goroutine leak. Here weft_run() would never return, so a leak is noticed. As a remedy, a receiver
 * that has enough closes the channel, and each send returns -EPIPE.
 *
 * Go:     c := make(chan int, len(servers)); for s := range servers { go func() { c <- ask(s) }() }; <-c
 * tokio:  drop(rx): the senders' send() returns Err
 */
#include "../example.h"

#include <weft/weft.h>

enum { SERVERS = 5 };

static weft_chan *answers;

/* Returns what its send said. */
static void *ask(void *arg)
{
	int server = (int)(intptr_t)arg, err;

	weft_sleep(server * 100000); /* the network */
	err = weft_chan_send(answers, &server);
	weft_chan_unref(answers); /* the last of them frees it */
	return (void *)(intptr_t)err;
}

static void *run(void *arg)
{
	weft_task *tasks[SERVERS];
	int first, too_late = 0;

	CHECK(weft_chan_create(sizeof(int), 0, &answers) == 0);
	for (intptr_t i = 0; i < SERVERS; i++) {
		weft_chan_ref(answers);
		CHECK(weft_spawn(ask, (void *)i, &tasks[i]) == 0);
	}
	CHECK(weft_chan_recv(answers, &first) == 0);
	weft_chan_close(answers);
	weft_chan_unref(answers);
	printf("an answer from %s\n", first >= 0 && first < SERVERS ? "a server" : "nowhere");

	/* A program would detach them; this one looks how they ended. */
	for (int i = 0; i < SERVERS; i++) {
		void *err;
		CHECK(weft_join(tasks[i], &err) == 0);
		CHECK((intptr_t)err == (i == first ? 0 : -EPIPE));
		too_late += (intptr_t)err == -EPIPE;
	}
	CHECK(too_late == SERVERS - 1);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
