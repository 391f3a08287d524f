/* SPDX-License-Identifier: MIT */
/* Elements of all kinds of sizes, from and into stacks, with tries and deadlines: the copies are
 * nobody's race. */
#include "../tsan.h"

struct large {
	char bytes[100];
};

static weft_chan *ch;

static void *send(void *arg)
{
	for (int i = 0; i < 12; i++) {
		struct large element;
		memset(&element, i, sizeof element);
		if (i % 3 == 0 && weft_chan_try_send(ch, &element) == 0)
			continue;
		while (weft_chan_send_until(ch, &element, weft_after(100000)) != 0)
			;
		memset(&element, 0, sizeof element);
	}
	return arg;
}

static void *receive(void *arg)
{
	for (int i = 0; i < 12; i++) {
		struct large element = {{1}};
		if (i % 4 != 0 || weft_chan_try_recv(ch, &element) != 0)
			MUST(weft_chan_recv(ch, &element) == 0);
		MUST(element.bytes[0] == element.bytes[99]);
		element.bytes[0] = 1;
	}
	return arg;
}

static void *start(void *arg)
{
	for (size_t capacity = 0; capacity <= 2; capacity++) {
		ch = chan_new(sizeof(struct large), capacity);
		weft_task *tasks[4] = {spawn(send, NULL), spawn(receive, NULL),
				       spawn(receive, NULL), spawn(send, NULL)};
		for (int i = 0; i < 4; i++)
			join(tasks[i]);
		weft_chan_destroy(ch);
	}
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
