/* SPDX-License-Identifier: MIT */
/* A workload of tasks and a plain thread that wait for descriptors. */
#include "workload.h"

#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define ROUNDS 3

struct room {
	int ends[2];   /* of a local connection */
	int silent[2]; /* of one on which nobody writes */
	int listener;
	struct sockaddr_in addr;
};

/* Of a call that returns a count, and must transfer one byte. */
static int one(ssize_t n)
{
	return n == 1 ? 0 : n < 0 ? (int)n : -EIO;
}

static void write_byte(int fd, unsigned round)
{
	char byte = 'x';
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};

	switch (round % 5) {
	case 0:
		CALL(MAY_LACK_MEMORY, one(weft_write(fd, &byte, 1)));
		break;
	case 1:
		CALL(MAY_LACK_MEMORY, one(weft_writev(fd, &part, 1)));
		break;
	case 2:
		CALL(MAY_LACK_MEMORY, one(weft_send(fd, &byte, 1, 0)));
		break;
	case 3:
		CALL(MAY_LACK_MEMORY, one(weft_sendmsg(fd, &msg, 0)));
		break;
	default:
		CALL(MAY_LACK_MEMORY, weft_write_full(fd, &byte, 1, NULL, WEFT_FOREVER));
	}
}

static void read_byte(int fd, unsigned round)
{
	char byte = 0;
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	struct msghdr msg = {.msg_iov = &part, .msg_iovlen = 1};

	switch (round % 5) {
	case 0:
		CALL(MAY_LACK_MEMORY, one(weft_read(fd, &byte, 1)));
		break;
	case 1:
		CALL(MAY_LACK_MEMORY, one(weft_readv(fd, &part, 1)));
		break;
	case 2:
		CALL(MAY_LACK_MEMORY, one(weft_recv(fd, &byte, 1, 0)));
		break;
	case 3:
		CALL(MAY_LACK_MEMORY, one(weft_recvmsg(fd, &msg, 0)));
		break;
	default:
		CALL(MAY_LACK_MEMORY, weft_read_full(fd, &byte, 1, NULL, WEFT_FOREVER));
	}
	MUST(byte == 'x');
}

/* Answers each byte. */
static void *answer(void *arg)
{
	struct room *r = arg;

	for (unsigned i = 0; i < 5 * ROUNDS; i++) {
		read_byte(r->ends[1], i);
		write_byte(r->ends[1], i);
	}
	return arg;
}

static void *ask(void *arg)
{
	struct room *r = arg;

	for (unsigned i = 0; i < 5 * ROUNDS; i++) {
		write_byte(r->ends[0], i);
		read_byte(r->ends[0], i);
	}
	return arg;
}

static void *greet(void *arg)
{
	struct room *r = arg;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CALL(MAY_LACK_MEMORY, weft_connect(fd, (struct sockaddr *)&r->addr, sizeof r->addr));
	write_byte(fd, 0);
	MUST(weft_close(fd) == 0);
	return arg;
}

/* Waits that end by deadlines, by weft_fd_forget() and by a cancellation. */
static bool ended_early(int rc)
{
	return rc == -EBADF || rc == -ECANCELED;
}

static void *wait_in_vain(void *arg)
{
	struct room *r = arg;
	struct pollfd all[6];
	char byte;
	int rc;

	for (int i = 0; i < 6; i++)
		all[i] = (struct pollfd){.fd = r->silent[i % 2], .events = POLLIN};
	do
		rc = weft_poll(all, 6, weft_after(100000));
	while (rc == -ENOMEM);
	MUST(rc == -ETIMEDOUT || ended_early(rc));
	do
		rc = weft_fd_wait(r->silent[0], POLLIN, weft_after(100000));
	while (rc == -ENOMEM);
	MUST(rc == -ETIMEDOUT || ended_early(rc));
	do
		rc = (int)weft_read(r->silent[0], &byte, 1);
	while (rc == -ENOMEM);
	MUST(ended_early(rc));
	return arg;
}

static void *serve(void *arg)
{
	struct room *r = arg;
	weft_task *tasks[3];
	int fd = -1;

	CALL(MAY_LACK_MEMORY, weft_spawn(greet, r, &tasks[0]));
	CALL(MAY_LACK_MEMORY, weft_spawn(ask, r, &tasks[1]));
	CALL(MAY_LACK_MEMORY, weft_spawn(wait_in_vain, r, &tasks[2]));
	CALL(MAY_LACK_MEMORY, (fd = weft_accept(r->listener, NULL, NULL)) < 0 ? fd : 0);
	read_byte(fd, 0);
	MUST(weft_close(fd) == 0);
	for (int i = 0; i < 2; i++)
		MUST(weft_join(tasks[i], NULL) == 0);
	MUST(weft_fd_forget(r->silent[0]) == 0);
	weft_cancel(tasks[2]);
	MUST(weft_join(tasks[2], NULL) == 0);
	MUST(weft_close(r->silent[0]) == 0);
	return arg;
}

void workload_io(void)
{
	struct room r = {.addr = {.sin_family = AF_INET}};
	socklen_t len = sizeof r.addr;
	pthread_t thread;

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, r.ends) == 0);
	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, r.silent) == 0);
	r.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	r.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	MUST(bind(r.listener, (struct sockaddr *)&r.addr, len) == 0);
	MUST(listen(r.listener, 5) == 0);
	MUST(getsockname(r.listener, (struct sockaddr *)&r.addr, &len) == 0);
	MUST(pthread_create(&thread, NULL, answer, &r) == 0);
	CALL(MAY_LACK_MEMORY | MAY_LACK_THREADS, weft_run(serve, &r, NULL));
	pthread_join(thread, NULL);
	for (int i = 0; i < 2; i++)
		MUST(weft_close(r.ends[i]) == 0);
	MUST(weft_close(r.silent[1]) == 0);
	MUST(weft_close(r.listener) == 0);
}
