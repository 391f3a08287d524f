/* SPDX-License-Identifier: MIT */
/*
 * Reading and writing. No call here may block its thread, and O_NONBLOCK may not be set on a
 * descriptor of the program: it belongs to the open file, which other processes may share. So each
 * kind of file has its own way:
 *
 *   kind                        reads                      writes
 *   socket                      recvmsg(MSG_DONTWAIT)      sendmsg(MSG_DONTWAIT | MSG_NOSIGNAL)
 *   other                       preadv2(RWF_NOWAIT)        pwritev2(RWF_NOWAIT)
 *   other, without RWF_NOWAIT   poll(), then readv()       pool
 *   pipe, without RWF_NOWAIT    poll(), then readv()       poll(), then at most PIPE_BUF bytes
 *   regular file, not at once   pool                       pool
 *
 * "pool" is a thread of the pool for blocking calls. Terminals are such files without RWF_NOWAIT. A
 * terminal that is ready for writing may have room for one byte only. Between poll() and its system
 * call a caller must be the only one that uses the descriptor (weft__descriptor_alone_begin()).
 *
 * The kind is found out at the first call, and kept until the descriptor is closed. If the program
 * has closed it by close(), the kind may be wrong. For a socket the system says so (ENOTSOCK), and
 * it is found out again.
 */
#include "call.h"

#include "src/base/alloc.h"

#include <weft/io.h>

#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* The arguments of one call. */
struct transfer {
	struct io_call call; /* first */
	const struct iovec *iov;
	int iov_count;
	int flags;          /* of a call for sockets */
	struct msghdr *msg; /* of a call with a message; otherwise NULL */
};

static enum io_kind kind_of_socket(int fd)
{
	int protocol = 0;
	socklen_t len = sizeof protocol;

	getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &len);
	if (protocol != IPPROTO_TCP)
		return IO_KIND_SOCKET;
	/* TLS in the kernel is no plain stream (descriptor.h). */
	char layer[16] = "";
	len = sizeof layer;
	if (getsockopt(fd, IPPROTO_TCP, TCP_ULP, layer, &len) == 0 && len > 0 && layer[0])
		return IO_KIND_SOCKET;
	return IO_KIND_TCP;
}

/* Asks the system. Returns the kind or -EBADF. */
static int find_kind(int fd)
{
	int saved = weft__errno(), kind = IO_KIND_OTHER;
	struct stat st;

	if (fstat(fd, &st) < 0)
		kind = -EBADF;
	else if (S_ISSOCK(st.st_mode))
		kind = kind_of_socket(fd);
	else if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		kind = IO_KIND_FILE;
	else if (S_ISFIFO(st.st_mode))
		kind = IO_KIND_PIPE;
	weft__set_errno(saved);
	return kind;
}

/* Returns the kind, or -EBADF. */
static int kind_of(int fd, struct descriptor *d)
{
	/* relaxed, all: it is a guess. */
	int kind = load_relaxed(&d->kind);

	if (kind != IO_KIND_UNKNOWN)
		return kind;
	kind = find_kind(fd);
	if (kind > 0)
		store_relaxed(&d->kind, (uint8_t)kind);
	return kind;
}

static bool is_socket(int kind)
{
	return kind == IO_KIND_TCP || kind == IO_KIND_SOCKET;
}

/* --- sockets ----------------------------------------------------------------------------------- */

/* Whether a datagram for a local socket by name has to wait for the peer's queue, which makes no
 * event at this socket. */
static bool waits_for_peer(const struct transfer *t, int fd)
{
	int domain = 0, saved = weft__errno();
	socklen_t len = sizeof domain;

	if (t->call.way == IO_IN || !t->msg || !t->msg->msg_name)
		return false;
	getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len);
	weft__set_errno(saved);
	return domain == AF_UNIX;
}

static ssize_t attempt_socket(struct transfer *t, int fd)
{
	struct msghdr plain = {.msg_iov = (struct iovec *)t->iov,
			       .msg_iovlen = (size_t)t->iov_count};
	struct msghdr *msg = t->msg ? t->msg : &plain;
	int flags = t->flags | MSG_DONTWAIT, saved = weft__errno();
	ssize_t n = t->call.way == IO_IN ? recvmsg(fd, msg, flags)
					 : sendmsg(fd, msg, flags | MSG_NOSIGNAL);

	n = weft__io_result(n, saved);
	return n == -EAGAIN && waits_for_peer(t, fd) ? IO_FULL : n;
}

/* --- other files ------------------------------------------------------------------------------- */

/* Writes as much as a ready pipe takes for sure. */
static ssize_t write_little(const struct transfer *t, int fd)
{
	for (int i = 0; i < t->iov_count; i++) {
		size_t n = t->iov[i].iov_len;
		if (n > 0)
			return write(fd, t->iov[i].iov_base, n < PIPE_BUF ? n : PIPE_BUF);
	}
	return 0;
}

/* For a file that does not know RWF_NOWAIT. */
static ssize_t attempt_by_poll(struct transfer *t, int fd, struct descriptor *d)
{
	bool reads = t->call.way == IO_IN;
	struct pollfd ready = {.fd = fd, .events = reads ? POLLIN : POLLOUT};
	int saved = weft__errno();

	weft__descriptor_alone_begin(d);
	ssize_t n = poll(&ready, 1, 0);
	bool quiet = n == 0;
	if (n > 0)
		n = reads ? readv(fd, t->iov, t->iov_count) : write_little(t, fd);
	n = quiet ? -EAGAIN : weft__io_result(n, saved);
	weft__descriptor_alone_end(d);
	return n;
}

static ssize_t attempt_file(struct transfer *t, int fd, struct descriptor *d, int kind)
{
	bool reads = t->call.way == IO_IN;
	int saved = weft__errno();
	ssize_t n = reads ? preadv2(fd, t->iov, t->iov_count, -1, RWF_NOWAIT)
			  : pwritev2(fd, t->iov, t->iov_count, -1, RWF_NOWAIT);

	n = weft__io_result(n, saved);
	if (n == -EAGAIN && kind == IO_KIND_FILE)
		return IO_BLOCKS;
	if (n != -EOPNOTSUPP && n != -ENOSYS && n != -ESPIPE)
		return n;
	return kind == IO_KIND_FILE || (!reads && kind != IO_KIND_PIPE) ? IO_BLOCKS
									: attempt_by_poll(t, fd, d);
}

static ssize_t attempt_any(struct io_call *call, int fd, struct descriptor *d)
{
	struct transfer *t = (struct transfer *)call;

	for (;;) {
		int kind = kind_of(fd, d);
		if (kind < 0)
			return kind;
		if (!is_socket(kind))
			return attempt_file(t, fd, d, kind);
		ssize_t n = attempt_socket(t, fd);
		if (n != -ENOTSOCK)
			return n;
		store_relaxed(&d->kind, IO_KIND_UNKNOWN);
	}
}

static ssize_t block_any(struct io_call *call, int fd)
{
	struct transfer *t = (struct transfer *)call;
	int saved = weft__errno();

	return weft__io_result(call->way == IO_IN ? readv(fd, t->iov, t->iov_count)
						  : writev(fd, t->iov, t->iov_count),
			       saved);
}

/* Adds up the parts. Returns false if that is more than any call can transfer. */
static bool total(const struct iovec *iov, int n, size_t *ret)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++) {
		if (__builtin_add_overflow(sum, iov[i].iov_len, &sum))
			return false;
	}
	*ret = sum;
	return sum <= SSIZE_MAX;
}

/* Reading nothing never waits. */
static ssize_t read_nothing(int fd)
{
	int rc = 0;
	struct descriptor *d = weft__descriptor(fd, &rc);

	if (!d)
		return rc;
	descriptor_enter(d);
	rc = kind_of(fd, d);
	descriptor_leave(d);
	return rc < 0 ? rc : 0;
}

static WEFT__MAY_HOP ssize_t transfer_parts(int fd, enum io_way way, const struct iovec *iov, int n,
					    int64_t deadline)
{
	struct transfer t = {
		.call = {.attempt = attempt_any, .block = block_any, .way = way},
		.iov = iov,
		.iov_count = n,
	};

	if (n < 0 || n > IOV_MAX || (n > 0 && !iov) || !total(iov, n, &t.call.asked))
		return -EINVAL;
	if (way == IO_IN && t.call.asked == 0)
		return read_nothing(fd);
	return weft__io_call(&t.call, fd, deadline);
}

static WEFT__MAY_HOP ssize_t transfer(int fd, enum io_way way, void *buf, size_t n,
				      int64_t deadline)
{
	struct iovec one = {.iov_base = buf, .iov_len = n};

	return transfer_parts(fd, way, &one, 1, deadline);
}

WEFT__MAY_HOP ssize_t weft_read_until(int fd, void *buf, size_t n, int64_t deadline)
{
	return transfer(fd, IO_IN, buf, n, deadline);
}

WEFT__MAY_HOP ssize_t weft_read(int fd, void *buf, size_t n)
{
	return transfer(fd, IO_IN, buf, n, WEFT_FOREVER);
}

WEFT__MAY_HOP ssize_t weft_readv_until(int fd, const struct iovec *iov, int n, int64_t deadline)
{
	return transfer_parts(fd, IO_IN, iov, n, deadline);
}

WEFT__MAY_HOP ssize_t weft_readv(int fd, const struct iovec *iov, int n)
{
	return transfer_parts(fd, IO_IN, iov, n, WEFT_FOREVER);
}

WEFT__MAY_HOP ssize_t weft_write_until(int fd, const void *buf, size_t n, int64_t deadline)
{
	return transfer(fd, IO_OUT, (void *)buf, n, deadline);
}

WEFT__MAY_HOP ssize_t weft_write(int fd, const void *buf, size_t n)
{
	return transfer(fd, IO_OUT, (void *)buf, n, WEFT_FOREVER);
}

WEFT__MAY_HOP ssize_t weft_writev_until(int fd, const struct iovec *iov, int n, int64_t deadline)
{
	return transfer_parts(fd, IO_OUT, iov, n, deadline);
}

WEFT__MAY_HOP ssize_t weft_writev(int fd, const struct iovec *iov, int n)
{
	return transfer_parts(fd, IO_OUT, iov, n, WEFT_FOREVER);
}

/* One call in several steps: the descriptor must be the same in all of them. */
static WEFT__MAY_HOP int transfer_all(int fd, enum io_way way, char *buf, size_t n, size_t *ret_n,
				      int64_t deadline)
{
	struct iovec rest;
	struct transfer t = {
		.call = {.attempt = attempt_any, .block = block_any, .way = way},
		.iov = &rest,
		.iov_count = 1,
	};
	size_t done = 0;
	ssize_t rc = 1;

	while (done < n && rc > 0) {
		size_t left = n - done < SSIZE_MAX ? n - done : SSIZE_MAX;

		rest = (struct iovec){.iov_base = buf + done, .iov_len = left};
		t.call.asked = left;
		rc = weft__io_call(&t.call, fd, deadline);
		if (rc > 0)
			done += (size_t)rc;
	}
	if (ret_n)
		*ret_n = done;
	return rc < 0 ? (int)rc : rc == 0 ? -ENODATA : 0;
}

WEFT__MAY_HOP int weft_read_full(int fd, void *buf, size_t n, size_t *ret_n, int64_t deadline)
{
	return transfer_all(fd, IO_IN, buf, n, ret_n, deadline);
}

WEFT__MAY_HOP int weft_write_full(int fd, const void *buf, size_t n, size_t *ret_n,
				  int64_t deadline)
{
	return transfer_all(fd, IO_OUT, (char *)buf, n, ret_n, deadline);
}

/* --- calls for sockets only ------------------------------------------------------------------- */

static ssize_t attempt_message(struct io_call *call, int fd, struct descriptor *d)
{
	int kind = kind_of(fd, d);

	if (kind < 0)
		return kind;
	struct transfer *t = (struct transfer *)call;
	ssize_t n = attempt_socket(t, fd);
	/* The mark stays, and reads stop there. */
	if (n >= 0 && call->way == IO_IN && t->flags & MSG_OOB)
		weft__direction_hang_up(&d->way[IO_IN]);
	return n;
}

/* Calls that look at something else than the data that an edge announces, or leave it there. */
#define LOOKING (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)

static WEFT__MAY_HOP ssize_t message(int fd, struct transfer *t, enum io_way way, int64_t deadline)
{
	t->call.attempt = attempt_message;
	t->call.way = way;
	t->call.looks = way == IO_IN && t->flags & LOOKING;
	t->call.never_waits = t->flags & MSG_DONTWAIT;
	if (t->call.looks && t->flags & (MSG_ERRQUEUE | MSG_OOB))
		t->call.looks_for = t->flags & MSG_ERRQUEUE ? POLLERR : POLLPRI;
	return weft__io_call(&t->call, fd, deadline);
}

static WEFT__MAY_HOP ssize_t socket_bytes(int fd, enum io_way way, void *buf, size_t n, int flags,
					  int64_t deadline)
{
	struct iovec rest = {.iov_base = buf, .iov_len = n};
	struct transfer t = {.iov = &rest, .iov_count = 1, .flags = flags & ~MSG_WAITALL};
	bool all = way == IO_IN && flags & MSG_WAITALL && !(flags & (LOOKING | MSG_DONTWAIT));
	size_t done = 0;
	ssize_t rc;

	do {
		/* The result of MSG_TRUNC may be larger than what was read. */
		t.call.asked = flags & (LOOKING | MSG_TRUNC) ? 0 : rest.iov_len;
		rc = message(fd, &t, way, deadline);
		if (rc <= 0 || !all)
			break;
		done += (size_t)rc;
		rest = (struct iovec){.iov_base = (char *)buf + done, .iov_len = n - done};
	} while (done < n);
	return done > 0 ? (ssize_t)done : rc;
}

WEFT__MAY_HOP ssize_t weft_recv_until(int fd, void *buf, size_t n, int flags, int64_t deadline)
{
	return socket_bytes(fd, IO_IN, buf, n, flags, deadline);
}

WEFT__MAY_HOP ssize_t weft_recv(int fd, void *buf, size_t n, int flags)
{
	return socket_bytes(fd, IO_IN, buf, n, flags, WEFT_FOREVER);
}

WEFT__MAY_HOP ssize_t weft_send_until(int fd, const void *buf, size_t n, int flags,
				      int64_t deadline)
{
	return socket_bytes(fd, IO_OUT, (void *)buf, n, flags, deadline);
}

WEFT__MAY_HOP ssize_t weft_send(int fd, const void *buf, size_t n, int flags)
{
	return socket_bytes(fd, IO_OUT, (void *)buf, n, flags, WEFT_FOREVER);
}

WEFT__MAY_HOP ssize_t weft_recvmsg_until(int fd, struct msghdr *msg, int flags, int64_t deadline)
{
	struct transfer t = {.msg = msg, .flags = flags};

	return msg ? message(fd, &t, IO_IN, deadline) : -EFAULT;
}

WEFT__MAY_HOP ssize_t weft_recvmsg(int fd, struct msghdr *msg, int flags)
{
	return weft_recvmsg_until(fd, msg, flags, WEFT_FOREVER);
}

WEFT__MAY_HOP ssize_t weft_sendmsg_until(int fd, const struct msghdr *msg, int flags,
					 int64_t deadline)
{
	struct transfer t = {.msg = (struct msghdr *)msg, .flags = flags};

	return msg ? message(fd, &t, IO_OUT, deadline) : -EFAULT;
}

WEFT__MAY_HOP ssize_t weft_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	return weft_sendmsg_until(fd, msg, flags, WEFT_FOREVER);
}
