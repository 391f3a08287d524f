/* SPDX-License-Identifier: MIT */
/* Connections: listening, accepting, connecting, and what ends these waits. */
#include "../core/harness.h"

#include <weft/io.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define CLIENTS 40

struct server {
	struct sockaddr_in addr;
	int fd;
};

static void listen_on_loopback(struct server *s, int type)
{
	socklen_t len = sizeof s->addr;

	s->addr = (struct sockaddr_in){.sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	s->fd = socket(AF_INET, SOCK_STREAM | type, 0);
	CHECK(bind(s->fd, (struct sockaddr *)&s->addr, sizeof s->addr) == 0);
	CHECK(listen(s->fd, 100) == 0);
	CHECK(getsockname(s->fd, (struct sockaddr *)&s->addr, &len) == 0);
}

static void *greet(void *arg)
{
	struct server *s = arg;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	char buf[5];

	CHECK(weft_connect(fd, (struct sockaddr *)&s->addr, sizeof s->addr) == 0);
	CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) == 0);
	CHECK(weft_write_full(fd, "hello", 5, NULL, WEFT_FOREVER) == 0);
	CHECK(weft_read_full(fd, buf, 5, NULL, WEFT_FOREVER) == 0);
	CHECK(memcmp(buf, "HELLO", 5) == 0);
	CHECK(weft_close(fd) == 0);
	return arg;
}

static void *answer(void *arg)
{
	int fd = (int)(intptr_t)arg;
	char buf[5];

	CHECK(weft_read_full(fd, buf, 5, NULL, WEFT_FOREVER) == 0);
	for (int i = 0; i < 5; i++)
		buf[i] = (char)(buf[i] - 'a' + 'A');
	CHECK(weft_write_full(fd, buf, 5, NULL, WEFT_FOREVER) == 0);
	CHECK(weft_close(fd) == 0);
	return NULL;
}

static void *serve_clients(void *arg)
{
	for (int type = 0; type <= SOCK_NONBLOCK; type += SOCK_NONBLOCK) {
		struct server s;
		weft_task *clients[CLIENTS], *answers[CLIENTS];

		listen_on_loopback(&s, type);
		for (int i = 0; i < CLIENTS; i++)
			CHECK(weft_spawn(greet, &s, &clients[i]) == 0);
		for (int i = 0; i < CLIENTS; i++) {
			struct sockaddr_in peer;
			socklen_t len = sizeof peer;
			int fd = weft_accept(s.fd, (struct sockaddr *)&peer, &len);

			CHECK(fd >= 0 && len == sizeof peer && peer.sin_family == AF_INET);
			CHECK(fcntl(fd, F_GETFL) & O_NONBLOCK);
			CHECK(fcntl(fd, F_GETFD) & FD_CLOEXEC);
			CHECK(weft_spawn(answer, (void *)(intptr_t)fd, &answers[i]) == 0);
		}
		for (int i = 0; i < CLIENTS; i++) {
			CHECK(weft_join(clients[i], NULL) == 0);
			CHECK(weft_join(answers[i], NULL) == 0);
		}
		CHECK(weft_accept_until(s.fd, NULL, NULL, 0) == -ETIMEDOUT);
		CHECK(weft_accept_until(s.fd, NULL, NULL, weft_after(1000000)) == -ETIMEDOUT);
		CHECK(weft_close(s.fd) == 0);
		CHECK(weft_accept(s.fd, NULL, NULL) == -EBADF);
	}
	return arg;
}

static void test_clients_are_served(void **state)
{
	(void)state;
	assert_run(1, serve_clients, NULL);
	assert_run(3, serve_clients, NULL);
}

static void *accept_one(void *arg)
{
	return (void *)(intptr_t)weft_accept(*(int *)arg, NULL, NULL);
}

static void *end_accepts(void *arg)
{
	struct server s;
	weft_task *waits[2];
	void *result;

	listen_on_loopback(&s, 0);
	CHECK(weft_spawn(accept_one, &s.fd, &waits[0]) == 0);
	CHECK(weft_spawn(accept_one, &s.fd, &waits[1]) == 0);
	weft_yield();
	weft_cancel(waits[0]);
	CHECK(weft_join(waits[0], &result) == 0);
	CHECK((intptr_t)result == -ECANCELED);
	CHECK(weft_fd_forget(s.fd) == 0);
	CHECK(weft_join(waits[1], &result) == 0);
	CHECK((intptr_t)result == -EBADF);

	/* It is still open, and may be used again. */
	CHECK(weft_spawn(accept_one, &s.fd, &waits[0]) == 0);
	weft_yield();
	CHECK(weft_close(s.fd) == 0);
	CHECK(weft_join(waits[0], &result) == 0);
	CHECK((intptr_t)result == -EBADF);
	CHECK(weft_fd_forget(s.fd) == -EBADF);
	return arg;
}

static void test_waiting_accept_ends_by_cancel_forget_and_close(void **state)
{
	(void)state;
	assert_run(1, end_accepts, NULL);
	assert_run(2, end_accepts, NULL);
}

static void *connect_to_nobody(void *arg)
{
	struct server s;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	listen_on_loopback(&s, 0);
	CHECK(weft_close(s.fd) == 0);
	CHECK(weft_connect(fd, (struct sockaddr *)&s.addr, sizeof s.addr) == -ECONNREFUSED);
	CHECK(weft_close(fd) == 0);
	CHECK(weft_connect(fd, (struct sockaddr *)&s.addr, sizeof s.addr) == -EBADF);
	return arg;
}

static void test_refused_connection_says_so(void **state)
{
	(void)state;
	assert_run(1, connect_to_nobody, NULL);
	connect_to_nobody(NULL);
	assert_int_equal(checks_failed(), 0);
}

/* A number that was closed by close() and comes back from accept is a new descriptor. */
static void *reuse_number(void *arg)
{
	struct server s;

	listen_on_loopback(&s, 0);
	for (int i = 0; i < 10; i++) {
		weft_task *client;
		int fd;
		char buf[5];

		CHECK(weft_spawn(greet, &s, &client) == 0);
		fd = weft_accept(s.fd, NULL, NULL);
		CHECK(weft_read_full(fd, buf, 5, NULL, WEFT_FOREVER) == 0);
		CHECK(weft_write_full(fd, "HELLO", 5, NULL, WEFT_FOREVER) == 0);
		CHECK(close(fd) == 0);
		CHECK(weft_join(client, NULL) == 0);
	}
	CHECK(weft_close(s.fd) == 0);
	return arg;
}

static void test_accepted_number_is_new(void **state)
{
	(void)state;
	assert_run(1, reuse_number, NULL);
	assert_run(2, reuse_number, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clients_are_served),
		cmocka_unit_test(test_waiting_accept_ends_by_cancel_forget_and_close),
		cmocka_unit_test(test_refused_connection_says_so),
		cmocka_unit_test(test_accepted_number_is_new),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
