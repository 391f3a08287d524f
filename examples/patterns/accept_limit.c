/* SPDX-License-Identifier: MIT */
/*
 * A server that has at most so many connections at a time. It accepts the next one only when there
 * is a place, so those who come later wait in the listener's queue and cost nothing here.
 *
 * Go:     netutil.LimitListener(l, n)
 * tokio:  let permit = semaphore.acquire_owned().await?; let (s, _) = l.accept().await?;
 */
#include "../example.h"

#include <weft/weft.h>

#include <netinet/in.h>
#include <stdatomic.h>

enum { CLIENTS = 30, MOST = 4 };

static struct sockaddr_in address = {.sin_family = AF_INET};
static atomic_int now;

static void *serve(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char byte;

	CHECK(atomic_fetch_add(&now, 1) < MOST);
	if (weft_read(fd, &byte, 1) == 1)
		CHECK(weft_write(fd, &byte, 1) == 1);
	atomic_fetch_sub(&now, 1);
	return (void *)(intptr_t)weft_close(fd);
}

/* The group has the limit: the spawn waits for a place. */
static void *accept_all(void *listener)
{
	weft_group connections;
	int fd;

	weft_group_init(&connections);
	weft_group_set_limit(&connections, MOST);
	while ((fd = weft_accept(*(int *)listener, NULL, NULL)) >= 0)
		CHECK(weft_group_spawn(&connections, serve, (void *)(intptr_t)fd) == 0);
	CHECK(weft_group_wait(&connections) == 0);
	weft_group_fini(&connections);
	return NULL;
}

static void *talk(void *arg)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char byte;

	CHECK(weft_connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	CHECK(weft_write(fd, "x", 1) == 1 && weft_read(fd, &byte, 1) == 1);
	CHECK(weft_close(fd) == 0);
	return arg;
}

static void *run(void *arg)
{
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof address;
	weft_task *server, *clients[CLIENTS];

	CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
	CHECK(listen(listener, CLIENTS) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0);
	CHECK(weft_spawn(accept_all, &listener, &server) == 0);
	for (int i = 0; i < CLIENTS; i++)
		CHECK(weft_spawn(talk, NULL, &clients[i]) == 0);
	for (int i = 0; i < CLIENTS; i++)
		CHECK(weft_join(clients[i], NULL) == 0);
	CHECK(weft_close(listener) == 0 && weft_join(server, NULL) == 0);
	return arg;
}

int main(void)
{
	return weft_run(run, NULL, NULL) < 0;
}
