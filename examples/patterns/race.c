/* SPDX-License-Identifier: MIT */
/*
 * The first result wins. The other tasks are stopped at once: each of their waits ends. Nothing is
 * left running when the function returns.
 *
 * Go:     ctx, cancel := context.WithCancel(ctx); ...; v := <-c; cancel()
 * tokio:  select! { v = ask(a) => v, v = ask(b) => v }, which drops the other one
 */
#include "../example.h"

#include <weft/weft.h>

enum { SERVERS = 5, FASTEST = 3 };

struct query {
	weft_chan *answer; /* holds one */
	int server;
	int err; /* how its wait ended */
};

static void *ask(void *arg)
{
	struct query *q = arg;

	/* Only one server answers; the others hang. */
	q->err = weft_sleep_until(q->server == FASTEST ? weft_after(1000000) : WEFT_FOREVER);
	if (q->err == 0 && weft_chan_try_send(q->answer, &q->server) == -EAGAIN)
		return NULL; /* another one was as fast */
	return NULL;
}

static void *run(void *arg)
{
	struct query queries[SERVERS];
	weft_chan *answer;
	weft_group group;
	int winner;

	CHECK(weft_chan_create(sizeof(int), 1, &answer) == 0);
	weft_group_init(&group);
	for (int i = 0; i < SERVERS; i++) {
		queries[i] = (struct query){answer, i, 0};
		CHECK(weft_group_spawn(&group, ask, &queries[i]) == 0);
	}
	CHECK(weft_chan_recv(answer, &winner) == 0);
	weft_group_cancel(&group);
	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	weft_chan_destroy(answer);

	printf("server %d was the fastest\n", winner);
	for (int i = 0; i < SERVERS; i++)
		CHECK(queries[i].err == (i == winner ? 0 : -ECANCELED));
	CHECK(winner == FASTEST);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
