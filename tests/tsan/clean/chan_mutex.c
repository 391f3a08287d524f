/* SPDX-License-Identifier: MIT */
/* A channel of capacity k lets k in at once: the (n + k)-th send comes after the n-th receive. With
 * 1 it is a mutex. */
#include "../tsan.h"

static weft_chan *one;
static long counter;

static void *count(void *arg)
{
	for (int i = 0; i < 15; i++) {
		MUST(weft_chan_send(one, NULL) == 0);
		counter++;
		if (i % 4 == 0)
			weft_yield();
		MUST(weft_chan_recv(one, NULL) == 0);
	}
	return arg;
}

static void *start(void *arg)
{
	weft_task *tasks[3] = {spawn(count, NULL), spawn(count, NULL), spawn(count, NULL)};

	for (int i = 0; i < 3; i++)
		join(tasks[i]);
	return arg;
}

int main(void)
{
	one = chan_new(0, 1);
	run(start);
	weft_chan_destroy(one);
	return counter != 45;
}
