/* SPDX-License-Identifier: MIT */
/* Takes a send that has returned for an answer. It would be one with capacity 0. */
/* races: prepare, look */
#include "../tsan.h"

static weft_chan *ch;
static int prepared;

KEPT static void prepare(void)
{
	RACE(prepared = 1);
}

KEPT static int look(void)
{
	int seen;

	RACE(seen = prepared);
	return seen;
}

static void *receiver(void *arg)
{
	prepare();
	MUST(weft_chan_recv(ch, NULL) == 0);
	return arg;
}

static void *start(void *arg)
{
	weft_task *task = spawn(receiver, NULL);

	MUST(weft_chan_send(ch, NULL) == 0);
	printf("%d\n", look());
	join(task);
	return arg;
}

int main(void)
{
	ch = chan_new(0, 1);
	run(start);
	weft_chan_destroy(ch);
	return 0;
}
