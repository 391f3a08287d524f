/* SPDX-License-Identifier: MIT */
/* A server that selects between requests, answers and the end; its clients select too. */
#include "../tsan.h"

static weft_chan *requests, *replies, *quit;
static long state;

static void *serve(void *arg)
{
	long *request;
	struct weft_case cases[] = {{.op = WEFT_RECV, .chan = requests, .elem = &request},
				    {.op = WEFT_RECV, .chan = quit}};

	while (weft_select(cases, 2, WEFT_FOREVER) == 0) {
		state += *request;
		*request = state;
		struct weft_case reply = {.op = WEFT_SEND, .chan = replies, .elem = &request};
		MUST(weft_select(&reply, 1, WEFT_FOREVER) == 0);
	}
	MUST(cases[1].ret_status == -EPIPE);
	return arg;
}

static void *ask(void *arg)
{
	for (int i = 0; i < 10; i++) {
		long number = 1, *mine = &number, *got;
		struct weft_case cases[] = {{.op = WEFT_SEND, .chan = requests, .elem = &mine},
					    {.op = WEFT_RECV, .chan = quit}};
		while ((i % 2 ? weft_select(cases, 2, weft_after(1000000))
			      : weft_select_ordered(cases, 2, weft_after(1000000))) == -ETIMEDOUT)
			;
		MUST(weft_chan_recv(replies, &got) == 0 && *got > 0);
	}
	return arg;
}

static void *start(void *arg)
{
	weft_task *server = spawn(serve, NULL), *client = spawn(ask, NULL);

	join(client);
	state += 1;
	weft_chan_close(quit);
	join(server);
	MUST(state == 11);
	return arg;
}

int main(void)
{
	requests = chan_new(sizeof(long *), 0);
	replies = chan_new(sizeof(long *), 1);
	quit = chan_new(0, 0);
	run(start);
	weft_chan_destroy(requests);
	weft_chan_destroy(replies);
	weft_chan_destroy(quit);
	return 0;
}
