/* SPDX-License-Identifier: MIT */
/*
 * Priorities: of several messages that are there, the urgent ones come first.
 *
 * Go:     select { case m := <-urgent: ...; default: select { case m := <-urgent: ...; case m := <-normal: ... } }
 * tokio:  select! { biased; m = urgent.recv() => ..., m = normal.recv() => ... }
 */
#include "../example.h"

#include <weft/weft.h>

#include <string.h>

enum { EACH = 10 };

static weft_chan *urgent, *normal;

/* Waits for a message: the urgent one, if both are there. -EPIPE: there will be no more. */
static int next_message(int *ret_message, bool *ret_urgent)
{
	struct weft_case cases[] = {
		{.op = WEFT_RECV, .chan = urgent, .elem = ret_message},
		{.op = WEFT_RECV, .chan = normal, .elem = ret_message},
	};
	int i;

	do {
		i = weft_select_ordered(cases, 2, WEFT_FOREVER);
		if (i < 0)
			return i;
		cases[i].chan =
			NULL; /* never ready: to go on with the other one, if it is closed */
	} while (cases[i].ret_status == -EPIPE && (cases[0].chan || cases[1].chan));
	if (cases[i].ret_status == 0)
		*ret_urgent = i == 0;
	return cases[i].ret_status;
}

static void *run(void *arg)
{
	char order[2 * EACH + 1] = "";
	int message, count = 0;
	bool is_urgent;

	CHECK(weft_chan_create(sizeof(int), EACH, &urgent) == 0);
	CHECK(weft_chan_create(sizeof(int), EACH, &normal) == 0);
	for (int i = 0; i < EACH; i++) {
		CHECK(weft_chan_send(normal, &i) == 0);
		CHECK(weft_chan_send(urgent, &i) == 0);
	}
	weft_chan_close(urgent);
	weft_chan_close(normal);
	while (next_message(&message, &is_urgent) == 0)
		order[count++] = is_urgent ? 'U' : 'n';

	printf("%s\n", order);
	CHECK(strcmp(order, "UUUUUUUUUUnnnnnnnnnn") == 0);
	weft_chan_destroy(urgent);
	weft_chan_destroy(normal);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
