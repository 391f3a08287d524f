/* SPDX-License-Identifier: MIT */
/*
 * Making connections: accept and connect.
 *
 * Neither system call has a flag against blocking. A listening socket that is not O_NONBLOCK is
 * asked by poll() first, and one caller at a time takes a connection from a descriptor. So the
 * connection is still there, unless another process or a duplicate of the descriptor took it.
 *
 * connect() begins the attempt on a non-blocking socket. A blocking one is made non-blocking for
 * the system call. It is not connected yet, so nobody else transfers data by it.
 */
#include "call.h"

#include "src/base/alloc.h"

#include <weft/io.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

struct accept_call {
	struct io_call call; /* first */
	struct sockaddr *addr;
	socklen_t *len;
};

/* Returns 1 or 0, or -1 with errno. */
static int is_ready(int fd, short events)
{
	struct pollfd ready = {.fd = fd, .events = events};
	int rc;

	do
		rc = poll(&ready, 1, 0);
	while (rc < 0 && weft__errno() == EINTR);
	return rc;
}

/* Accepts without blocking. Nobody else of this process accepts from the socket meanwhile. */
static int accept_alone(struct accept_call *a, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags >= 0 && !(flags & O_NONBLOCK)) {
		int rc = is_ready(fd, POLLIN);
		if (rc <= 0)
			return rc < 0 ? rc : -EAGAIN;
	}
	return accept4(fd, a->addr, a->len, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static ssize_t attempt_accept(struct io_call *call, int fd, struct descriptor *d)
{
	struct accept_call *a = (struct accept_call *)call;
	socklen_t len = a->len ? *a->len : 0;
	int saved = weft__errno();
	ssize_t n;

	weft__descriptor_alone_begin(d);
	do {
		if (a->len)
			*a->len = len;
		n = accept_alone(a, fd);
		if (n == -1)
			n = -weft__errno();
	} while (n == -ECONNABORTED || n == -EINTR);
	weft__descriptor_alone_end(d);
	weft__set_errno(saved);
	if (n >= 0)
		weft__descriptor_is_new((int)n);
	return n;
}

WEFT__MAY_HOP int weft_accept_until(int fd, struct sockaddr *addr, socklen_t *len, int64_t deadline)
{
	struct accept_call a = {
		.call = {.attempt = attempt_accept, .way = IO_IN}, .addr = addr, .len = len};

	return (int)weft__io_call(&a.call, fd, deadline);
}

WEFT__MAY_HOP int weft_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
	return weft_accept_until(fd, addr, len, WEFT_FOREVER);
}

struct connect_call {
	struct io_call call; /* first */
	const struct sockaddr *addr;
	socklen_t len;
	bool goes_on;
};

/* Begins to connect. Returns 0 or -1 with errno; EINPROGRESS: it goes on. */
static int begin(struct connect_call *c, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0)
		return -1;
	if (!(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	int rc = connect(fd, c->addr, c->len);
	int error = weft__errno();
	if (!(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags);
	weft__set_errno(error);
	return rc;
}

/* What has become of an attempt that goes on. Returns 0, or -1 with errno. */
static int outcome(int fd)
{
	int error = 0, rc = is_ready(fd, POLLOUT);
	socklen_t len = sizeof error;

	if (rc > 0)
		rc = getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	else if (rc == 0)
		error = EAGAIN;
	if (rc == 0 && error == 0)
		return 0;
	if (rc == 0)
		weft__set_errno(error);
	return -1;
}

/* An attempt to connect is made once, and then looked at. */
static ssize_t attempt_connect(struct io_call *call, int fd, struct descriptor *d)
{
	struct connect_call *c = (struct connect_call *)call;
	int saved = weft__errno();

	(void)d;
	if (c->goes_on)
		return weft__io_result(outcome(fd), saved);
	ssize_t rc = weft__io_result(begin(c, fd), saved);
	c->goes_on = rc == -EINPROGRESS || rc == -EINTR;
	/* A local server's queue is full. No event says when it is not. */
	return c->goes_on ? -EAGAIN : rc == -EAGAIN ? IO_FULL : rc;
}

WEFT__MAY_HOP int weft_connect_until(int fd, const struct sockaddr *addr, socklen_t len,
				     int64_t deadline)
{
	struct connect_call c = {
		.call = {.attempt = attempt_connect, .way = IO_OUT, .looks = true},
		.addr = addr,
		.len = len,
	};

	return (int)weft__io_call(&c.call, fd, deadline);
}

WEFT__MAY_HOP int weft_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
	return weft_connect_until(fd, addr, len, WEFT_FOREVER);
}
