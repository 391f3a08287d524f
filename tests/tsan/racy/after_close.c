/* SPDX-License-Identifier: MIT */
/* Closes the channel to say that all is written, then writes one thing more. */
/* races: finish, read_total */
#include "../tsan.h"

static weft_chan *done;
static long total;

KEPT static void *finish(void *arg)
{
	weft_chan_close(done);
	RACE(total = 3);
	return arg;
}

KEPT static long read_total(void)
{
	long seen;

	RACE(seen = total);
	return seen;
}

static void *start(void *arg)
{
	weft_task *task = spawn(finish, NULL);

	MUST(weft_chan_recv(done, NULL) == -EPIPE);
	printf("%ld\n", read_total());
	join(task);
	return arg;
}

int main(void)
{
	done = chan_new(0, 0);
	run(start);
	weft_chan_destroy(done);
	return 0;
}
