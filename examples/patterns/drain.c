/* SPDX-License-Identifier: MIT */
/*
 * A shutdown with work in flight. Closing the listener ends the task that accepts. Requests that
 * are under way have some time to finish. Connections that are idle then are cancelled.
 *
 * Go:     server.Shutdown(ctx), then server.Close()
 * tokio:  a token in a select! beside each read; timeout(d, tracker.wait()).await
 */
#include "../example.h"

#include <weft/weft.h>

#include <stdatomic.h>
#include <sys/socket.h>

#define MILLISECOND INT64_C(1000000)

enum { BUSY = 3, IDLE = 3, CONNECTIONS = BUSY + IDLE };

static atomic_int answered, cut_short;

/* Answers requests of one byte until the peer closes, or the server stops. */
static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg, rc;
	char byte;

	while ((rc = weft_read_full(fd, &byte, 1, NULL, WEFT_FOREVER)) == 0) {
		weft_cancel_mask(); /* what has begun is finished */
		CHECK(weft_sleep(2 * MILLISECOND) == 0);
		CHECK(weft_write(fd, &byte, 1) == 1);
		weft_cancel_unmask();
		atomic_fetch_add(&answered, 1);
	}
	if (rc == -ECANCELED)
		atomic_fetch_add(&cut_short, 1);
	CHECK(weft_close(fd) == 0);
	return NULL;
}

static void *run(void *arg)
{
	weft_group connections;
	int fds[CONNECTIONS][2];
	char byte;

	weft_group_init(&connections);
	for (int i = 0; i < CONNECTIONS; i++) {
		CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds[i]) == 0);
		CHECK(weft_group_spawn(&connections, serve, (void *)(intptr_t)fds[i][0]) == 0);
		if (i < BUSY)
			CHECK(weft_write(fds[i][1], "x", 1) == 1);
	}

	/* The peers keep their connections open, so all of them are idle in the end. */
	CHECK(weft_group_wait_or_cancel_until(&connections, weft_after(30 * MILLISECOND)) ==
	      -ETIMEDOUT);
	weft_group_fini(&connections);
	printf("%d requests answered, %d connections cut short\n", answered, cut_short);
	CHECK(answered == BUSY && cut_short == CONNECTIONS);

	/* Each answer arrived, and then the end of the stream. */
	for (int i = 0; i < CONNECTIONS; i++) {
		if (i < BUSY)
			CHECK(weft_read(fds[i][1], &byte, 1) == 1);
		CHECK(weft_read(fds[i][1], &byte, 1) == 0);
		CHECK(weft_close(fds[i][1]) == 0);
	}
	return arg;
}

int main(void)
{
	return weft_run(run, NULL, NULL) < 0;
}
