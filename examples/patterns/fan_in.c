/* SPDX-License-Identifier: MIT */
/*
 * Merges several channels into one. A channel that is closed is set to NULL. Such a case is never
 * ready.
 *
 * Go:     for { select { case v, ok := <-a: if !ok { a = nil }; ... case v, ok := <-b: ... } }
 * tokio:  loop { select! { Some(v) = a.recv() => ..., Some(v) = b.recv() => ..., else => break } }
 */
#include "../example.h"

#include <weft/weft.h>

enum { SOURCES = 3, COUNT = 20 };

/* Sends 0, 1, 2, ... into its own channel. */
static void *produce(void *arg)
{
	weft_chan *out = arg;

	for (int n = 0; n < COUNT; n++)
		CHECK(weft_chan_send(out, &n) == 0);
	weft_chan_close(out);
	return NULL;
}

static void *run(void *arg)
{
	int open = SOURCES, n, next[SOURCES] = {0};
	struct weft_case cases[SOURCES];
	weft_chan *sources[SOURCES];
	weft_group group;

	weft_group_init(&group);
	for (int i = 0; i < SOURCES; i++) {
		CHECK(weft_chan_create(sizeof(int), 0, &sources[i]) == 0);
		CHECK(weft_group_spawn(&group, produce, sources[i]) == 0);
		cases[i] = (struct weft_case){.op = WEFT_RECV, .chan = sources[i], .elem = &n};
	}
	while (open > 0) {
		int i = weft_select(cases, SOURCES, WEFT_FOREVER);

		CHECK(i >= 0);
		if (cases[i].ret_status == 0) {
			CHECK(n == next[i]++); /* mixed with the others', but in order */
		} else {
			cases[i].chan = NULL; /* -EPIPE: it is closed */
			open--;
		}
	}
	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	for (int i = 0; i < SOURCES; i++) {
		printf("source %d: %d values\n", i, next[i]);
		CHECK(next[i] == COUNT);
		weft_chan_destroy(sources[i]);
	}
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
