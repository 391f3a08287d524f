/* SPDX-License-Identifier: MIT */
/*
 * Fan-in: several channels become one. In Go: for { select { case v, ok := <-a: ... case v, ok :=
 * <-b: ... } }, where a channel that is closed is set to nil; here any number of them.
 */
#include "../example.h"

#include <weft/weft.h>

enum { SOURCES = 3, COUNT = 20 };

static weft_chan *sources[SOURCES], *merged;

/* Sends 0, 1, 2, ... into its own channel. */
static void *produce(void *arg)
{
	weft_chan *out = arg;

	for (int n = 0; n < COUNT; n++)
		CHECK(weft_chan_send(out, &n) == 0);
	weft_chan_close(out);
	return NULL;
}

static void *fan_in(void *arg)
{
	struct weft_case cases[SOURCES];
	int open = SOURCES, n;

	for (int i = 0; i < SOURCES; i++)
		cases[i] = (struct weft_case){WEFT_RECV, sources[i], &n, 0};
	while (open > 0) {
		int i = weft_select(cases, SOURCES, WEFT_FOREVER);
		CHECK(i >= 0);
		if (cases[i].ret_status == -EPIPE) {
			cases[i].chan = NULL; /* never ready again, like Go's nil channel */
			open--;
		} else {
			int tagged[2] = {i, n};
			CHECK(weft_chan_send(merged, tagged) == 0);
		}
	}
	weft_chan_close(merged);
	return arg;
}

static void *run(void *arg)
{
	int next[SOURCES] = {0}, tagged[2];
	weft_group group;

	weft_group_init(&group);
	CHECK(weft_chan_create(sizeof(tagged), 0, &merged) == 0);
	for (int i = 0; i < SOURCES; i++) {
		CHECK(weft_chan_create(sizeof(int), 0, &sources[i]) == 0);
		CHECK(weft_group_spawn(&group, produce, sources[i]) == 0);
	}
	CHECK(weft_group_spawn(&group, fan_in, NULL) == 0);

	/* Mixed with the others', but each source's own in order. */
	while (weft_chan_recv(merged, tagged) == 0)
		CHECK(tagged[1] == next[tagged[0]]++);
	for (int i = 0; i < SOURCES; i++) {
		printf("source %d: %d values\n", i, next[i]);
		CHECK(next[i] == COUNT);
	}

	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	for (int i = 0; i < SOURCES; i++)
		weft_chan_destroy(sources[i]);
	weft_chan_destroy(merged);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
