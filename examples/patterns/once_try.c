/* SPDX-License-Identifier: MIT */
/*
 * Makes a value when it is first needed, by a function that may fail. Until the function has
 * succeeded, the next caller tries again. (In once.c a failure is kept.)
 *
 * Go:     a mutex around: if !done { v, err = connect(); done = err == nil }
 * tokio:  OnceCell::get_or_try_init(connect).await
 */
#include "../example.h"

#include <weft/weft.h>

enum { CLIENTS = 20, REFUSED = 3 };

struct connection {
	weft_once once;
	int attempts; /* written in connect_once() only, */
	int fd;       /* and so is this */
};

/* Runs in one task at a time, so it needs no lock; the others wait meanwhile. */
static int connect_once(void *arg)
{
	struct connection *c = arg;

	weft_yield(); /* it may wait */
	if (++c->attempts <= REFUSED)
		return -ECONNREFUSED;
	c->fd = 42;
	return 0;
}

/* Uses the connection, or fails as the attempt to make it did. */
static void *client(void *arg)
{
	struct connection *c = arg;
	int err = weft_once_try(&c->once, connect_once, c);

	if (err == 0)
		CHECK(c->fd == 42);
	return (void *)(intptr_t)err;
}

static void *run(void *arg)
{
	struct connection c = {.once = WEFT_ONCE_INIT};
	weft_task *clients[CLIENTS];
	int refused = 0;

	for (int i = 0; i < CLIENTS; i++)
		CHECK(weft_spawn(client, &c, &clients[i]) == 0);
	for (int i = 0; i < CLIENTS; i++) {
		void *err;
		CHECK(weft_join(clients[i], &err) == 0);
		refused += (intptr_t)err == -ECONNREFUSED;
	}
	printf("%d attempts, %d clients refused\n", c.attempts, refused);
	CHECK(refused == REFUSED && c.attempts == REFUSED + 1);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
