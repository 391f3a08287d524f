/* SPDX-License-Identifier: MIT */
/*
 * An echo server in plain blocking code, with a task for each connection. The clients are tasks of
 * the same program.
 *
 * Go:     for { c, _ := l.Accept(); go io.Copy(c, c) }
 * tokio:  loop { let (mut s, _) = l.accept().await?; spawn(async move { ... }); }
 */
#include "../example.h"

#include <weft/weft.h>

#include <netinet/in.h>
#include <string.h>

enum { CLIENTS = 20 };

static struct sockaddr_in address = {.sin_family = AF_INET};
static int listener;

static void *echo(void *arg)
{
	int fd = (int)(intptr_t)arg, err = 0;
	char buf[4096];

	for (ssize_t n; err == 0 && (n = weft_read(fd, buf, sizeof buf)) > 0;)
		err = weft_write_full(fd, buf, (size_t)n, NULL, WEFT_FOREVER);
	weft_close(fd);
	return NULL;
}

/* Ends when the listener is closed. */
static void *accept_all(void *arg)
{
	int fd;

	while ((fd = weft_accept(listener, NULL, NULL)) >= 0)
		CHECK(weft_spawn(echo, (void *)(intptr_t)fd, NULL) == 0);
	CHECK(fd == -EBADF); /* by weft_close() */
	return arg;
}

static void *talk(void *arg)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char answer[6] = "";

	CHECK(weft_connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
	CHECK(weft_write_full(fd, "hello", 5, NULL, WEFT_FOREVER) == 0);
	CHECK(weft_read_full(fd, answer, 5, NULL, WEFT_FOREVER) == 0);
	CHECK(strcmp(answer, "hello") == 0);
	CHECK(weft_close(fd) == 0);
	return arg;
}

static void *run(void *arg)
{
	socklen_t len = sizeof address;
	weft_group clients;
	weft_task *server;

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
	CHECK(listen(listener, CLIENTS) == 0);
	CHECK(getsockname(listener, (struct sockaddr *)&address, &len) == 0); /* the port */
	CHECK(weft_spawn(accept_all, NULL, &server) == 0);
	weft_group_init(&clients);
	for (int i = 0; i < CLIENTS; i++)
		CHECK(weft_group_spawn(&clients, talk, NULL) == 0);
	CHECK(weft_group_wait(&clients) == 0);
	weft_group_fini(&clients);
	CHECK(weft_close(listener) == 0 && weft_join(server, NULL) == 0);
	return arg;
}

int main(void)
{
	return weft_run(run, NULL, NULL) < 0;
}
