/* SPDX-License-Identifier: MIT */
/*
 * Conservation of bytes. Each round sends numbered bytes through pipes, local sockets and TCP
 * connections. Meanwhile readers and writers are cancelled, run into deadlines, share descriptors,
 * and find them closed. What was written and what was read must be the same bytes in the same
 * order, as far as they were read; no call may wait for ever; and no call may touch a descriptor
 * that another round has under the same number.
 *
 *   pump     writes a stream of numbered bytes, in pieces of random length, with deadlines that
 *            may pass and scopes that are cancelled
 *   drain    reads it, in other pieces, and checks each byte
 *            and may close its end early
 *   others   wait for bytes that never come, until they are cancelled or their descriptor is
 *            forgotten
 */
#include "stress.h"

#include <weft/io.h>
#include <weft/scope.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#define LANES       8
#define STREAM_MAX  40000
#define WAITERS     3
#define PIECE_MAX   700
#define SHORT_NS    20000
#define NEVER_CLOSE UINT32_MAX

struct lane {
	int in, out;
	int idle_in, idle_out; /* nothing is ever written to idle_out */
	uint32_t length;       /* bytes that are written */
	uint32_t close_at;     /* the drain closes once it has read that many */
	uint32_t seed;
	uint32_t written, read; /* each by its own task, read after its join */
	_Atomic int gone;       /* tasks that no longer wait in vain */
};

static unsigned char byte_at(const struct lane *l, uint32_t i)
{
	return (unsigned char)(l->seed + i * 13 + (i >> 8));
}

static bool tcp_pair(int fds[2])
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof addr;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool done = listener >= 0 && bind(listener, (struct sockaddr *)&addr, sizeof addr) == 0 &&
		    listen(listener, 1) == 0 &&
		    getsockname(listener, (struct sockaddr *)&addr, &len) == 0;

	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	done = done && weft_connect(fds[0], (struct sockaddr *)&addr, sizeof addr) == 0;
	fds[1] = done ? weft_accept(listener, NULL, NULL) : -1;
	weft_close(listener);
	return done && fds[1] >= 0;
}

static bool open_lane(struct lane *l, struct weft__random *r)
{
	int fds[2], idle[2];
	uint32_t kind = weft__random_below(r, 3);
	bool done = kind == 0   ? pipe2(fds, O_CLOEXEC) == 0
		    : kind == 1 ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0
				: tcp_pair(fds);

	if (!done || pipe2(idle, O_CLOEXEC) < 0)
		return false;
	*l = (struct lane){
		.in = fds[0],
		.out = fds[1],
		.idle_in = idle[0],
		.idle_out = idle[1],
		.length = weft__random_below(r, STREAM_MAX),
		.seed = weft__random_below(r, 256),
	};
	l->close_at = stress_one_in(r, 3) ? weft__random_below(r, STREAM_MAX) : NEVER_CLOSE;
	return true;
}

/* A deadline that passes soon, or none. */
static int64_t deadline(struct weft__random *r)
{
	return stress_one_in(r, 4) ? weft_after(weft__random_below(r, SHORT_NS)) : WEFT_FOREVER;
}

/* Whether the call may be tried again. */
static bool goes_on(ssize_t n)
{
	return n == -ETIMEDOUT || n == -ECANCELED;
}

static void *pump(void *arg)
{
	struct lane *l = arg;
	unsigned char buf[PIECE_MAX];
	struct weft__random r;

	stress_random(&r, l->seed);
	while (l->written < l->length) {
		uint32_t n = 1 + weft__random_below(&r, PIECE_MAX - 1);
		weft_scope scope;

		if (n > l->length - l->written)
			n = l->length - l->written;
		for (uint32_t i = 0; i < n; i++)
			buf[i] = byte_at(l, l->written + i);
		bool scoped = stress_one_in(&r, 8);
		if (scoped)
			weft_scope_begin(&scope, deadline(&r));
		ssize_t done = weft_write_until(l->out, buf, n, deadline(&r));
		if (scoped)
			weft_scope_end(&scope);
		if (done > 0) {
			l->written += (uint32_t)done;
			stress_did((uint64_t)done);
		} else if (done == -EPIPE || done == -ECONNRESET) {
			break;
		} else {
			stress_check(goes_on(done), "write: %zd", done);
		}
	}
	stress_check(weft_close(l->out) == 0, "close of the writing end");
	return NULL;
}

/* Reads, or only waits until there is something to read. Returns as weft_read(). */
static ssize_t read_piece(struct lane *l, struct weft__random *r, unsigned char *buf, uint32_t n)
{
	int rc = 1;

	if (stress_one_in(r, 6))
		rc = weft_fd_wait(l->in, POLLIN, deadline(r));
	return rc < 0 ? rc : weft_read_until(l->in, buf, n, deadline(r));
}

static void *drain(void *arg)
{
	struct lane *l = arg;
	unsigned char buf[PIECE_MAX];
	struct weft__random r;

	stress_random(&r, l->seed + 1000);
	while (l->read < l->close_at) {
		uint32_t n = 1 + weft__random_below(&r, PIECE_MAX - 1);
		ssize_t done = read_piece(l, &r, buf, n);

		if (done == 0 || done == -ECONNRESET)
			break;
		stress_check(done > 0 || goes_on(done), "read: %zd", done);
		for (ssize_t i = 0; i < done; i++)
			stress_check(buf[i] == byte_at(l, l->read + (uint32_t)i),
				     "byte %u is wrong", l->read + (uint32_t)i);
		if (done > 0)
			l->read += (uint32_t)done;
		if (stress_over() && done < 0)
			break;
	}
	stress_check(weft_close(l->in) == 0, "close of the reading end");
	return NULL;
}

/* Waits for what never comes, until its descriptor is forgotten. */
static void *wait_in_vain(void *arg)
{
	struct lane *l = arg;
	unsigned char byte;
	ssize_t n = weft_read(l->idle_in, &byte, 1);

	stress_check(n == -EBADF || n == -ECANCELED, "read of a forgotten descriptor: %zd", n);
	atomic_fetch_add_explicit(&l->gone, 1, memory_order_relaxed);
	return NULL;
}

static void run_lane(struct lane *l, struct weft__random *r)
{
	weft_task *waiters[WAITERS], *writer, *reader;
	uint32_t cancelled = weft__random_below(r, WAITERS + 1);

	for (int i = 0; i < WAITERS; i++)
		stress_check(weft_spawn(wait_in_vain, l, &waiters[i]) == 0, "weft_spawn");
	stress_check(weft_spawn(pump, l, &writer) == 0, "weft_spawn");
	stress_check(weft_spawn(drain, l, &reader) == 0, "weft_spawn");
	for (uint32_t i = 0; i < cancelled; i++)
		weft_cancel(waiters[i]);
	stress_joined(weft_join(writer, NULL));
	stress_joined(weft_join(reader, NULL));
	/* One that begins to wait after a forget needs another one. */
	while (atomic_load_explicit(&l->gone, memory_order_relaxed) < WAITERS) {
		stress_check(weft_fd_forget(l->idle_in) == 0, "forget of the idle end");
		weft_yield();
	}
	stress_check(weft_close(l->idle_in) == 0, "close of the idle end");
	for (int i = 0; i < WAITERS; i++)
		stress_joined(weft_join(waiters[i], NULL));
	stress_check(weft_close(l->idle_out) == 0, "close of the idle writing end");
	/* The reader has seen all, unless one side ended early. */
	stress_check(l->read <= l->written, "more was read than was written");
	stress_check(l->written < l->length || l->close_at != NEVER_CLOSE ||
			     l->read == l->written || stress_over(),
		     "%u bytes were written, %u were read", l->written, l->read);
}

static void *run_lanes(void *arg)
{
	struct weft__random r;

	stress_random(&r, 77 + (uintptr_t)arg);
	while (!stress_over()) {
		struct lane l;

		if (!open_lane(&l, &r)) {
			stress_fail("no descriptors");
			break;
		}
		run_lane(&l, &r);
	}
	return NULL;
}

static void *run_all(void *arg)
{
	weft_task *lanes[LANES];

	for (uintptr_t i = 0; i < LANES; i++)
		stress_check(weft_spawn(run_lanes, (void *)i, &lanes[i]) == 0, "weft_spawn");
	for (int i = 0; i < LANES; i++)
		stress_joined(weft_join(lanes[i], NULL));
	return arg;
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv, "bytes through descriptors, with closes, cancels and deadlines");
	signal(SIGPIPE, SIG_IGN);
	stress_check(weft_run(run_all, NULL, NULL) == 0, "weft_run");
	return stress_end();
}
