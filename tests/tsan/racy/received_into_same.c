/* SPDX-License-Identifier: MIT */
/* Two receive into the same variable. */
/* races: receive_first, receive_second */
#include "../tsan.h"

static weft_chan *ch;
static char line[24];

KEPT static void *receive_first(void *arg)
{
	RACE(MUST(weft_chan_recv(ch, line) == 0)); /* there is one: it does not wait */
	return arg;
}

KEPT static void *receive_second(void *arg)
{
	RACE(MUST(weft_chan_recv(ch, line) == 0)); /* there is one: it does not wait */
	return arg;
}

static void *start(void *arg)
{
	static const char lines[2][sizeof line] = {"one", "two"};

	for (int i = 0; i < 2; i++)
		MUST(weft_chan_send(ch, lines[i]) == 0);
	weft_task *first = spawn(receive_first, NULL), *second = spawn(receive_second, NULL);
	join(first);
	join(second);
	return arg;
}

int main(void)
{
	ch = chan_new(sizeof line, 2);
	run(start);
	printf("%s\n", line);
	weft_chan_destroy(ch);
	return 0;
}
