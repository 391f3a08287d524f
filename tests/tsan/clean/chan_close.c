/* SPDX-License-Identifier: MIT */
/* The close comes before what it ends: several wait for it, with a buffer that is drained first and
 * without one. */
#include "../tsan.h"

static weft_chan *empty, *full;
static long written;

static void *await_close(void *arg)
{
	MUST(weft_chan_recv(empty, NULL) == -EPIPE);
	MUST(written == 1);
	return arg;
}

static void *drain(void *arg)
{
	long element, sum = 0;

	while (weft_chan_recv(full, &element) == 0)
		sum += element;
	MUST(sum == 3 && written == 1);
	return arg;
}

static void *start(void *arg)
{
	weft_task *tasks[3] = {spawn(await_close, NULL), spawn(await_close, NULL),
			       spawn(drain, NULL)};

	for (long i = 1; i <= 2; i++)
		MUST(weft_chan_send(full, &i) == 0);
	written = 1;
	weft_chan_close(full);
	weft_chan_close(empty);
	for (int i = 0; i < 3; i++)
		join(tasks[i]);
	written = 2;
	return arg;
}

int main(void)
{
	empty = chan_new(0, 0);
	full = chan_new(sizeof(long), 2);
	run(start);
	weft_chan_destroy(empty);
	weft_chan_destroy(full);
	return 0;
}
