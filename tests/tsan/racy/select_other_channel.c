/* SPDX-License-Identifier: MIT */
/* A select is ordered after the sender whose element it took, not after the other one. */
/* races: fill_slow, read_both */
#include "../tsan.h"

static weft_chan *fast, *slow;
static long values[2];

static void *send_fast(void *arg)
{
	values[0] = 1;
	MUST(weft_chan_send(fast, NULL) == 0);
	return arg;
}

KEPT static void fill_slow(void)
{
	RACE(values[1] = 1);
}

static void *send_slow(void *arg)
{
	fill_slow();
	weft_chan_send(slow, NULL); /* nobody takes it */
	return arg;
}

KEPT static long read_both(void)
{
	long seen;

	RACE(seen = values[1]);
	return values[0] + seen;
}

static void *start(void *arg)
{
	weft_task *first = spawn(send_fast, NULL), *second = spawn(send_slow, NULL);
	/* A case without a channel is never ready. */
	struct weft_case cases[] = {{.op = WEFT_RECV}, {.op = WEFT_RECV, .chan = fast}};

	MUST(weft_select(cases, 2, WEFT_FOREVER) == 1);
	printf("%ld\n", read_both());
	join(first);
	join(second);
	return arg;
}

int main(void)
{
	fast = chan_new(0, 0);
	slow = chan_new(0, 1);
	run(start);
	weft_chan_destroy(fast);
	weft_chan_destroy(slow);
	return 0;
}
