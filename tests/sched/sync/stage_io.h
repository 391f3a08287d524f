/* SPDX-License-Identifier: MIT */
/*
 * What the stage has for calls that wait for descriptors (stage.h): a socket from which nothing can
 * be read, one to which nothing can be written, and two listeners. Nobody connects to the first
 * one. The second one takes no more connections.
 */
#ifndef WEFT_TESTS_SCHED_SYNC_STAGE_IO_H
#define WEFT_TESTS_SCHED_SYNC_STAGE_IO_H

#include "stage.h"

#include <weft/io.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static void make_pair(int fds[2])
{
	int small = 1; /* as small as the system allows */

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	CHECK(setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small) == 0);
}

static int make_listener(struct sockaddr_in *ret_addr, int backlog)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof *ret_addr;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	CHECK(bind(fd, (struct sockaddr *)&any, sizeof any) == 0);
	CHECK(listen(fd, backlog) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)ret_addr, &len) == 0);
	return fd;
}

/* Begins to connect. */
static int make_client(const struct sockaddr_in *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	CHECK(connect(fd, (const struct sockaddr *)addr, sizeof *addr) == 0 ||
	      errno == EINPROGRESS);
	return fd;
}

/* A number that no open descriptor has, and that the system does not give to one soon. */
static int closed_number(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 700);

	CHECK(fd >= 700 && close(fd) == 0);
	return fd;
}

static void set_stage_io(struct stage *s, bool ended)
{
	static const char bytes[1000];

	s->has_io = true;
	make_pair(s->quiet);
	make_pair(s->stuffed);
	while (send(s->stuffed[0], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
	s->listener = make_listener(&s->listens, 5);
	s->crowded = make_listener(&s->crowds, 0);
	s->first_client = make_client(&s->crowds);
	s->second_client = make_client(&s->crowds);
	s->connecting = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	s->in = ended ? closed_number() : s->quiet[0];
	s->out = ended ? s->in : s->stuffed[0];
	s->door = ended ? s->in : s->listener;
	s->plug = ended ? s->in : s->connecting;
	s->visitor = -1;
}

/* Lets each wait for a descriptor end well, except for connect: the system would try again after a
 * second only. */
static void provide_io(struct stage *s)
{
	char bytes[1000];

	CHECK(send(s->quiet[1], "x", 1, 0) == 1);
	while (recv(s->stuffed[1], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
		;
	s->visitor = make_client(&s->listens);
}

static void clear_stage_io(struct stage *s)
{
	CHECK(weft_close(s->quiet[0]) == 0 && close(s->quiet[1]) == 0);
	CHECK(weft_close(s->stuffed[0]) == 0 && close(s->stuffed[1]) == 0);
	CHECK(weft_close(s->listener) == 0 && close(s->crowded) == 0);
	CHECK(close(s->first_client) == 0 && close(s->second_client) == 0);
	CHECK(weft_close(s->connecting) == 0);
	CHECK(s->visitor < 0 || close(s->visitor) == 0);
}

/* 0 in place of a count */
static int counted(ssize_t rc)
{
	return rc > 0 ? 0 : (int)rc;
}

/* 0 in place of a new descriptor */
static int accepted(int rc)
{
	if (rc < 0)
		return rc;
	CHECK(weft_close(rc) == 0);
	return 0;
}

/* One byte in one part, as each form of a call wants it. */
struct byte {
	char byte;
	struct iovec part;
	struct msghdr msg;
};

static struct byte *one_byte(struct byte *b)
{
	*b = (struct byte){.byte = 'y'};
	b->part = (struct iovec){.iov_base = &b->byte, .iov_len = 1};
	b->msg.msg_iov = &b->part;
	b->msg.msg_iovlen = 1;
	return b;
}

/* --- the calls --- */

static int until_read(struct stage *s, int64_t deadline)
{
	char byte;

	return counted(weft_read_until(s->in, &byte, 1, deadline));
}

static int plain_read(struct stage *s, int64_t deadline)
{
	char byte;

	(void)deadline;
	return counted(weft_read(s->in, &byte, 1));
}

static int until_readv(struct stage *s, int64_t deadline)
{
	struct byte b;

	return counted(weft_readv_until(s->in, &one_byte(&b)->part, 1, deadline));
}

static int plain_readv(struct stage *s, int64_t deadline)
{
	struct byte b;

	(void)deadline;
	return counted(weft_readv(s->in, &one_byte(&b)->part, 1));
}

static int until_write(struct stage *s, int64_t deadline)
{
	return counted(weft_write_until(s->out, "y", 1, deadline));
}

static int plain_write(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return counted(weft_write(s->out, "y", 1));
}

static int until_writev(struct stage *s, int64_t deadline)
{
	struct byte b;

	return counted(weft_writev_until(s->out, &one_byte(&b)->part, 1, deadline));
}

static int plain_writev(struct stage *s, int64_t deadline)
{
	struct byte b;

	(void)deadline;
	return counted(weft_writev(s->out, &one_byte(&b)->part, 1));
}

/* 4711: what the count is before the call. It is stored on failure as well. */
static int until_read_full(struct stage *s, int64_t deadline)
{
	size_t n = 4711;
	char byte;
	int rc = weft_read_full(s->in, &byte, 1, &n, deadline);

	CHECK(n == (rc == 0));
	return rc;
}

static int until_write_full(struct stage *s, int64_t deadline)
{
	size_t n = 4711;
	int rc = weft_write_full(s->out, "y", 1, &n, deadline);

	CHECK(n == (rc == 0));
	return rc;
}

static int until_recv_bytes(struct stage *s, int64_t deadline)
{
	char byte;

	return counted(weft_recv_until(s->in, &byte, 1, 0, deadline));
}

static int plain_recv_bytes(struct stage *s, int64_t deadline)
{
	char byte;

	(void)deadline;
	return counted(weft_recv(s->in, &byte, 1, 0));
}

static int until_send_bytes(struct stage *s, int64_t deadline)
{
	return counted(weft_send_until(s->out, "y", 1, 0, deadline));
}

static int plain_send_bytes(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return counted(weft_send(s->out, "y", 1, 0));
}

static int until_recvmsg(struct stage *s, int64_t deadline)
{
	struct byte b;

	return counted(weft_recvmsg_until(s->in, &one_byte(&b)->msg, 0, deadline));
}

static int plain_recvmsg(struct stage *s, int64_t deadline)
{
	struct byte b;

	(void)deadline;
	return counted(weft_recvmsg(s->in, &one_byte(&b)->msg, 0));
}

static int until_sendmsg(struct stage *s, int64_t deadline)
{
	struct byte b;

	return counted(weft_sendmsg_until(s->out, &one_byte(&b)->msg, 0, deadline));
}

static int plain_sendmsg(struct stage *s, int64_t deadline)
{
	struct byte b;

	(void)deadline;
	return counted(weft_sendmsg(s->out, &one_byte(&b)->msg, 0));
}

static int until_accept(struct stage *s, int64_t deadline)
{
	return accepted(weft_accept_until(s->door, NULL, NULL, deadline));
}

static int plain_accept(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return accepted(weft_accept(s->door, NULL, NULL));
}

static int until_connect(struct stage *s, int64_t deadline)
{
	return weft_connect_until(s->plug, (struct sockaddr *)&s->crowds, sizeof s->crowds,
				  deadline);
}

static int plain_connect(struct stage *s, int64_t deadline)
{
	(void)deadline;
	return weft_connect(s->plug, (struct sockaddr *)&s->crowds, sizeof s->crowds);
}

static int until_fd_wait(struct stage *s, int64_t deadline)
{
	return counted(weft_fd_wait(s->in, POLLIN, deadline));
}

static int until_poll(struct stage *s, int64_t deadline)
{
	struct pollfd both[2] = {{.fd = s->quiet[0], .events = POLLIN},
				 {.fd = s->stuffed[0], .events = POLLOUT}};

	return counted(weft_poll(both, 2, deadline));
}

#endif
