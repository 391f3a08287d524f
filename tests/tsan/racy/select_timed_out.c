/* SPDX-License-Identifier: MIT */
/* Waits for either of two answers and, when none comes in time, reads what the answer would have
 * been about. */
/* races: answer, read_anyway */
#include "../tsan.h"

static weft_chan *yes, *no;
static int text;

KEPT static void *answer(void *arg)
{
	RACE(text = 1);
	return arg;
}

KEPT static int read_anyway(void)
{
	int seen;

	RACE(seen = text);
	return seen;
}

static void *start(void *arg)
{
	weft_task *task = spawn(answer, NULL);
	struct weft_case cases[] = {{.op = WEFT_RECV, .chan = yes}, {.op = WEFT_RECV, .chan = no}};

	MUST(weft_select(cases, 2, weft_after(1000000)) == -ETIMEDOUT);
	printf("%d\n", read_anyway());
	join(task);
	return arg;
}

int main(void)
{
	yes = chan_new(0, 1);
	no = chan_new(0, 1);
	run(start);
	weft_chan_destroy(yes);
	weft_chan_destroy(no);
	return 0;
}
