/* SPDX-License-Identifier: MIT */
/* Two send to one channel. Each is ordered before the receiver, not one before the other. */
/* races: number_next, number_next */
#include "../tsan.h"

static weft_chan *ch;
static int next;

KEPT static int number_next(void)
{
	int number;

	RACE(number = ++next);
	return number;
}

static void *sender(void *arg)
{
	int number = number_next();

	MUST(weft_chan_send(ch, &number) == 0);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(sender, NULL), *second = spawn(sender, NULL);
	int number;

	for (int i = 0; i < 2; i++)
		MUST(weft_chan_recv(ch, &number) == 0);
	join(first);
	join(second);
	return arg;
}

int main(void)
{
	ch = chan_new(sizeof(int), 2);
	run(start);
	weft_chan_destroy(ch);
	return next != 2;
}
