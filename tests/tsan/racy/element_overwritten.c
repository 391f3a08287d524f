/* SPDX-License-Identifier: MIT */
/* While one task sends a variable's value, another one writes it: the copy is made by the library,
 * for the sender. */
/* races: send_it, change_it */
#include "../tsan.h"

static weft_chan *ch;
static long element = 1;

KEPT static void *send_it(void *arg)
{
	RACE(MUST(weft_chan_send(ch, &element) == 0));
	return arg;
}

KEPT static void *change_it(void *arg)
{
	RACE(element = 2);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(send_it, NULL), *second = spawn(change_it, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	ch = chan_new(sizeof element, 1);
	run(start);
	weft_chan_destroy(ch);
	return element != 2;
}
