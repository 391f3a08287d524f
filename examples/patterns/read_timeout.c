/* SPDX-License-Identifier: MIT */
/*
 * A time limit on reading. A single read has a deadline. A request that comes in many pieces has
 * one for all of them, so that a peer which sends a byte now and then cannot hold the task for ever.
 *
 * Go:     conn.SetReadDeadline(time.Now().Add(d)); io.ReadFull(conn, buf)
 * tokio:  timeout(d, stream.read_exact(&mut buf)).await
 */
#include "../example.h"

#include <weft/weft.h>

#include <sys/socket.h>

#define MILLISECOND INT64_C(1000000)

enum { REQUEST = 1000 };

/* Sends a byte every millisecond, until nobody reads. */
static void *dribble(void *arg)
{
	int fd = (int)(intptr_t)arg;

	while (weft_write(fd, "x", 1) == 1)
		CHECK(weft_sleep(MILLISECOND) == 0);
	CHECK(weft_close(fd) == 0);
	return NULL;
}

static void *run(void *arg)
{
	char request[REQUEST];
	weft_scope scope;
	weft_task *peer;
	size_t n;
	int fds[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);

	/* One wait. */
	CHECK(weft_read_until(fds[0], request, 1, weft_after(5 * MILLISECOND)) == -ETIMEDOUT);

	/* All waits for one request. What has come is counted. */
	CHECK(weft_spawn(dribble, (void *)(intptr_t)fds[1], &peer) == 0);
	CHECK(weft_read_full(fds[0], request, REQUEST, &n, weft_after(20 * MILLISECOND)) ==
	      -ETIMEDOUT);
	printf("%zu of %d bytes in time\n", n, REQUEST);
	CHECK(n < REQUEST);

	/* All waits of a part of the program, whatever it waits for. */
	weft_scope_begin(&scope, weft_after(5 * MILLISECOND));
	while (weft_read(fds[0], request, 1) == 1)
		;
	CHECK(weft_scope_end(&scope) == -ETIMEDOUT);

	CHECK(weft_close(fds[0]) == 0);
	CHECK(weft_join(peer, NULL) == 0); /* its write failed with -EPIPE */
	return arg;
}

int main(void)
{
	return weft_run(run, NULL, NULL) < 0;
}
