/* SPDX-License-Identifier: MIT */
/*
 * Input and output that suspends: sockets, pipes, terminals and other descriptors. The calls have
 * POSIX names with weft_ in front.
 *
 * Each call works from a task and from a plain thread. A task that must wait suspends, and its
 * worker runs other tasks meanwhile; the task may hop. A plain thread blocks.
 *
 * Descriptors are plain ints, however they were made. Nothing has to be registered, and O_NONBLOCK
 * need not be set. Weft leaves the flags of a descriptor that it did not make as they are. Any
 * number of callers may use a descriptor at the same time, in both directions. They are served
 * about in the order in which they began to wait.
 *
 * Results. A call returns a count or 0, or a negative errno value. It does not set errno, and never
 * returns -EINTR. Besides the errors of its POSIX counterpart:
 *
 *   -EBADF      the descriptor is closed, or weft_close() closes it meanwhile
 *   -ECANCELED  the calling task is cancelled, and nothing was transferred
 *   -ETIMEDOUT  the deadline has passed, and nothing was transferred
 *   -ENOMEM     there is no memory for the state of the descriptor
 *   -EMFILE     the runtime cannot have the two descriptors that it polls with, or the call cannot
 *               have one that it needs for itself
 *
 * Cancellation and deadlines end a wait, and never a transfer: a call that need not wait succeeds.
 * Each call here is a cancellation point where it would wait, unless it says otherwise. The _until
 * forms give up at an absolute deadline on CLOCK_MONOTONIC (weft_after(); WEFT_FOREVER; 0: do not
 * wait). Everything before a write happens before the return of the read that gets its data.
 *
 * Closing. weft_close() closes a descriptor that tasks or threads may be waiting for. If a
 * descriptor was used with the calls of this header, close it by weft_close(). Call
 * weft_fd_forget() before something else closes it, replaces it by dup2(), or passes it to another
 * process.
 *
 * Regular files are always ready, so these calls read and write them too. What the system cannot
 * do at once is done by a thread of the blocking pool (blocking.h), and is no cancellation point.
 * The same goes for writing to a terminal.
 *
 * A program that sets TCP_ULP on a socket calls weft_fd_forget() then.
 */
#ifndef WEFT_IO_H
#define WEFT_IO_H

#include <weft/base.h>

#include <stddef.h>
#include <sys/types.h>

WEFT_BEGIN_DECLS

/* Those of <sys/uio.h>, <sys/socket.h> and <poll.h>, which a program includes if it uses them. Not
 * here: these headers would take names such as send and poll from every program. */
struct iovec;
struct msghdr;
struct sockaddr;
struct pollfd;
typedef unsigned int socklen_t;

/*
 * Reads up to n bytes into buf. Waits until there is something to read.
 *
 * Returns the count, 0 at the end of the stream, or a negative errno value.
 */
WEFT_API WEFT_MUST_CHECK ssize_t weft_read(int fd, void *buf, size_t n);
WEFT_API WEFT_MUST_CHECK ssize_t weft_read_until(int fd, void *buf, size_t n, int64_t deadline);
WEFT_API WEFT_MUST_CHECK ssize_t weft_readv(int fd, const struct iovec *iov, int n);
WEFT_API WEFT_MUST_CHECK ssize_t weft_readv_until(int fd, const struct iovec *iov, int n,
						  int64_t deadline);

/*
 * Writes up to n bytes from buf: as many as go at once, and at least one. Waits until something can
 * be written. weft_write_full() writes all. A socket whose peer is gone gives -EPIPE without the
 * signal; a pipe raises SIGPIPE as write() does.
 *
 * Returns the count, or a negative errno value.
 */
WEFT_API WEFT_MUST_CHECK ssize_t weft_write(int fd, const void *buf, size_t n);
WEFT_API WEFT_MUST_CHECK ssize_t weft_write_until(int fd, const void *buf, size_t n,
						  int64_t deadline);
WEFT_API WEFT_MUST_CHECK ssize_t weft_writev(int fd, const struct iovec *iov, int n);
WEFT_API WEFT_MUST_CHECK ssize_t weft_writev_until(int fd, const struct iovec *iov, int n,
						   int64_t deadline);

/*
 * Read or write exactly n bytes, in as many steps as it takes.
 *
 * @ret_n  receives the number of bytes that were transferred, also on failure; may be NULL.
 *
 * Return 0; -ENODATA if the stream ends before n bytes were read; or another negative errno value.
 */
WEFT_API WEFT_MUST_CHECK int weft_read_full(int fd, void *buf, size_t n, size_t *ret_n,
					    int64_t deadline);
WEFT_API WEFT_MUST_CHECK int weft_write_full(int fd, const void *buf, size_t n, size_t *ret_n,
					     int64_t deadline);

/* Sockets. The flags are those of recv() and send(). MSG_DONTWAIT gives -EAGAIN instead of a wait.
 * weft_recv() keeps MSG_WAITALL, and weft_recvmsg() ignores it. Sending never raises SIGPIPE. Each returns a count or a negative errno value. */
WEFT_API WEFT_MUST_CHECK ssize_t weft_recv(int fd, void *buf, size_t n, int flags);
WEFT_API WEFT_MUST_CHECK ssize_t weft_recv_until(int fd, void *buf, size_t n, int flags,
						 int64_t deadline);
WEFT_API WEFT_MUST_CHECK ssize_t weft_send(int fd, const void *buf, size_t n, int flags);
WEFT_API WEFT_MUST_CHECK ssize_t weft_send_until(int fd, const void *buf, size_t n, int flags,
						 int64_t deadline);
WEFT_API WEFT_MUST_CHECK ssize_t weft_recvmsg(int fd, struct msghdr *msg, int flags);
WEFT_API WEFT_MUST_CHECK ssize_t weft_recvmsg_until(int fd, struct msghdr *msg, int flags,
						    int64_t deadline);
WEFT_API WEFT_MUST_CHECK ssize_t weft_sendmsg(int fd, const struct msghdr *msg, int flags);
WEFT_API WEFT_MUST_CHECK ssize_t weft_sendmsg_until(int fd, const struct msghdr *msg, int flags,
						    int64_t deadline);

/*
 * Takes a connection from a listening socket. addr and len may be NULL, as for accept(). The new
 * descriptor is close-on-exec and non-blocking. A connection that its peer has given up already is
 * skipped.
 *
 * If several processes, or several duplicates of the descriptor, accept from one socket, set
 * O_NONBLOCK on it: another one may take the connection between the moment at which the socket is
 * ready and the call.
 *
 * Returns the descriptor, or a negative errno value.
 */
WEFT_API WEFT_MUST_CHECK int weft_accept(int fd, struct sockaddr *addr, socklen_t *len);
WEFT_API WEFT_MUST_CHECK int weft_accept_until(int fd, struct sockaddr *addr, socklen_t *len,
					       int64_t deadline);

/*
 * Connects a socket. A connection attempt that is cancelled, or that reaches its deadline, goes on
 * in the system: close the socket then. A blocking socket is non-blocking for as long as the
 * attempt is made.
 *
 * Returns 0 or a negative errno value.
 */
WEFT_API WEFT_MUST_CHECK int weft_connect(int fd, const struct sockaddr *addr, socklen_t len);
WEFT_API WEFT_MUST_CHECK int weft_connect_until(int fd, const struct sockaddr *addr, socklen_t len,
						int64_t deadline);

/*
 * Waits until a descriptor is ready for what `events` says (POLLIN, POLLOUT, POLLPRI, POLLRDHUP):
 * a pidfd, signalfd, eventfd, timerfd, inotify, a terminal, or what another library works with.
 *
 * Returns what it is ready for, as poll() does, with POLLERR and POLLHUP; or a negative errno
 * value. A regular file is always ready.
 */
WEFT_API WEFT_MUST_CHECK int weft_fd_wait(int fd, short events, int64_t deadline);

/*
 * Waits until at least one of n descriptors is ready. Sets each .revents, as poll() does. Negative
 * descriptors are skipped; a descriptor that is not open has POLLNVAL, and is ready.
 *
 * Returns how many are ready, never 0; or a negative errno value.
 */
WEFT_API WEFT_MUST_CHECK int weft_poll(struct pollfd *fds, size_t n, int64_t deadline);

/*
 * Closes a descriptor. Every call that waits for it returns -EBADF first, except for a write to a
 * terminal that a thread of the blocking pool has begun. No cancellation point.
 *
 * Returns 0 or a negative errno value. The descriptor is closed even if the result is an error of
 * the device. -EBADF: it was not open.
 */
WEFT_API int weft_close(int fd);

/*
 * Ends Weft's interest in a descriptor that stays open: every call that waits for it returns
 * -EBADF, and the runtimes no longer poll it. Later calls may use it again. Returns 0, or -EBADF.
 */
WEFT_API int weft_fd_forget(int fd);

WEFT_END_DECLS

#endif
