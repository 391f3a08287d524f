/* SPDX-License-Identifier: MIT */
/* With capacity 0 each side comes before the other returns: the data goes one way, the permission
 * to reuse it the other. */
#include "../tsan.h"

static weft_chan *ch;
static long data, answer;

static void *receive(void *arg)
{
	for (int i = 0; i < 5; i++) {
		answer = i;
		MUST(weft_chan_recv(ch, NULL) == 0);
		MUST(data == i);
		MUST(weft_chan_recv(ch, NULL) == 0);
	}
	return arg;
}

static void *send(void *arg)
{
	for (int i = 0; i < 5; i++) {
		data = i;
		MUST(weft_chan_send(ch, NULL) == 0);
		MUST(answer == i);
		MUST(weft_chan_send(ch, NULL) == 0);
	}
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(receive, NULL), *second = spawn(send, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	ch = chan_new(0, 0);
	run(start);
	weft_chan_destroy(ch);
	return 0;
}
