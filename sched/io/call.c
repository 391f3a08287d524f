/* SPDX-License-Identifier: MIT */
/* The common course of a call (call.h), for tasks and for plain threads. */
#include "call.h"

#include "poller.h"
#include "sched/core/patience.h"
#include "src/base/alloc.h"
#include "thread.h"

#include <weft/blocking.h>
#include <weft/time.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

/* What all transfers of a process have in common, for ThreadSanitizer: what is written happens
 * before what reads it. */
static char transfers;

ssize_t weft__io_result(ssize_t result, int saved)
{
	if (result >= 0)
		return result;
	result = -weft__errno();
	weft__set_errno(saved);
	return result == -EWOULDBLOCK ? -EAGAIN : result;
}

int weft__io_enter(struct io_call *call, struct descriptor *d)
{
	descriptor_enter(d);
	/* relaxed: a closer changes it only while nobody is inside. */
	uint32_t generation = load_relaxed(&d->generation);
	if (!call->begun) {
		call->begun = true;
		call->generation = generation;
	}
	if (call->generation == generation)
		return 0;
	descriptor_leave(d);
	return -EBADF;
}

/* Whether a result of n says that nothing is left, unless the peer has hung up (descriptor.h). */
static bool is_short(const struct io_call *call, struct descriptor *d, ssize_t n)
{
	/* relaxed: a guess. */
	return call->way == IO_IN && n > 0 && (size_t)n < call->asked &&
	       load_relaxed(&d->kind) == IO_KIND_TCP;
}

/* An attempt does not block, so it does not hop. */
static WEFT__STAYS ssize_t attempt(struct io_call *call, int fd, struct descriptor *d)
{
	ssize_t n;

	if (call->way == IO_OUT)
		san_release(&transfers);
	do
		n = call->attempt(call, fd, d);
	while (n == -EINTR);
	if (call->way == IO_IN)
		san_acquire(&transfers);
	/* If other callers wait, one of them may succeed too. */
	if (n != -EAGAIN && n != IO_FULL && n != IO_BLOCKS && !call->looks &&
	    descriptor_is_polled(d))
		weft__direction_pass_on(&d->way[call->way], is_short(call, d, n));
	return n;
}

/* Joins the list that the call belongs to. Returns false if another try is due. */
static bool join(struct io_call *call, struct descriptor *d, struct io_node *node, uint32_t edges)
{
	struct io_direction *way = &d->way[call->way];

	return call->looks ? weft__direction_watch(way, node, edges)
			   : weft__direction_join(way, node);
}

/* Waits until another try is due. The caller is inside, and is not afterwards. Returns 0 or a
 * negative errno value; -EPERM: it is a file that no poller can watch. */
static WEFT__MAY_HOP int wait_as_task(struct worker *w, struct io_call *call, int fd,
				      struct descriptor *d, uint32_t edges, int64_t deadline)
{
	struct weft_runtime *rt = w->rt;
	struct waiter waiter;
	struct io_node node = {.waiter = &waiter};
	int rc = 0;
	struct poller *p = weft__poller_of(rt, &rc);

	if (p)
		rc = weft__poller_add(p, fd, d);
	if (rc < 0) {
		descriptor_leave(d);
		return rc;
	}
	weft__events_wait_begins(w); /* now, since it may be slow */
	weft__wait_begin(&waiter, deadline == WEFT_FOREVER);
	bool joined = join(call, d, &node, edges);
	descriptor_leave(d);
	if (!joined) {
		weft__wait_abandon(&waiter);
		weft__events_wait_ends(rt);
		return 0;
	}
	enum wait_outcome outcome = weft__wait(&waiter, deadline, true);
	weft__events_wait_ends(rt);
	if (outcome == WAIT_WOKEN)
		return node.status;
	weft__direction_quit(&d->way[call->way], &node);
	return wait_errno(outcome);
}

/* The same for a plain thread, which asks the system itself. */
static int wait_as_thread(struct io_call *call, int fd, struct descriptor *d, int64_t deadline)
{
	short events = call->looks_for ? call->looks_for : call->way == IO_IN ? POLLIN : POLLOUT;
	struct pollfd fds[2] = {{.fd = fd, .events = events}};
	struct io_direction *way = &d->way[call->way];
	struct thread_wait wait;
	struct io_node node = {.waiter = &wait.waiter};
	int rc = weft__thread_wait_begin(&wait, fds, 1);

	if (rc < 0) {
		descriptor_leave(d);
		return rc;
	}
	weft__direction_list(way, &node);
	descriptor_leave(d);
	enum wait_outcome outcome = weft__thread_wait(&wait, deadline);
	weft__direction_quit(way, &node);
	rc = weft__thread_wait_end(&wait);
	/* The system may go on to report an error that the call does not take. */
	call->misled = fds[0].revents && !(fds[0].revents & events);
	return outcome != WAIT_WOKEN ? wait_errno(outcome) : node.status < 0 ? node.status : rc;
}

/* What makes no event is tried again after this time. */
#define FULL_NS ((int64_t)1000000)

static WEFT__MAY_HOP int wait_a_moment(int64_t deadline)
{
	int64_t soon = weft_after(FULL_NS);

	return weft_sleep_until(soon < deadline ? soon : deadline);
}

/* A system call that blocks, by a thread of the pool. */
struct blocking_call {
	struct io_call *call;
	struct descriptor *d;
	int fd, copy;
	ssize_t result;
};

/* A file that has no copy stays open meanwhile: a closer waits for the system call. */
static WEFT__STAYS void *run_blocking(void *arg)
{
	struct blocking_call *b = arg;
	bool copied = b->copy >= 0;
	int saved = weft__errno();

	b->result = copied ? 0 : weft__io_enter(b->call, b->d);
	if (b->result < 0)
		return NULL;
	do
		b->result = b->call->block(b->call, copied ? b->copy : b->fd);
	while (b->result == -EINTR);
	if (copied)
		close(b->copy);
	else
		descriptor_leave(b->d);
	weft__set_errno(saved);
	return NULL;
}

/*
 * Has a system call made that blocks. The caller is inside, and is not afterwards. Other files than
 * regular ones may block for ever, so the call works on a duplicate, and the descriptor can be
 * closed meanwhile. A regular file has none: the end of a duplicate would release the locks that
 * the process holds on the file by fcntl().
 */
static WEFT__MAY_HOP ssize_t block(struct io_call *call, int fd, struct descriptor *d)
{
	struct blocking_call b = {.call = call, .d = d, .fd = fd, .copy = -1};
	int saved = weft__errno(), rc = 0;

	if (load_relaxed(&d->kind) != IO_KIND_FILE) {
		b.copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		rc = b.copy < 0 ? -weft__errno() : 0;
		weft__set_errno(saved);
	}
	descriptor_leave(d);
	if (rc < 0)
		return rc;
	weft_blocking(run_blocking, &b, NULL);
	return b.result;
}

/* One try. The caller is inside. *ret_edges is for join(). */
static ssize_t try_once(struct worker *w, struct io_call *call, int fd, struct descriptor *d,
			bool must, uint32_t *ret_edges)
{
	bool polled = descriptor_is_polled(d);
	struct poller *p = w ? poller_if_any(w->rt) : NULL;
	/* Who makes the system call clears `ready`, unless it only looks. */
	bool ready = weft__direction_try(&d->way[call->way], polled && !call->looks, ret_edges);

	/* Only the poller of this runtime has told its workers all. */
	if (!ready && !must && !call->looks && p && descriptor_in_poller(d, p))
		return -EAGAIN;
	return attempt(call, fd, d);
}

/* The worker whose task calls, or NULL. */
static struct worker *worker_of_caller(void)
{
	struct worker *w = weft__worker();

	return w && w->task ? w : NULL;
}

/* Whether the call must not wait, or no longer. */
static bool is_over(const struct io_call *call, bool waited, int64_t deadline)
{
	return deadline <= 0 || call->never_waits ||
	       (waited && deadline != WEFT_FOREVER && deadline <= weft_now());
}

WEFT__MAY_HOP ssize_t weft__io_call(struct io_call *call, int fd, int64_t deadline)
{
	int rc = 0;
	bool blocks = false, waited = false;
	struct descriptor *d = weft__descriptor(fd, &rc);

	if (!d)
		return rc;
	for (;; waited = true) {
		struct worker *w = worker_of_caller();
		bool over = is_over(call, waited, deadline), misled = call->misled;
		uint32_t edges = 0;

		rc = weft__io_enter(call, d);
		if (rc < 0)
			return rc;
		ssize_t n = blocks ? IO_BLOCKS : try_once(w, call, fd, d, over, &edges);
		if (n == IO_BLOCKS) {
			n = block(call, fd, d);
			w = worker_of_caller();
			/* It is not a blocking descriptor after all. */
			if (n == -EAGAIN)
				n = IO_FULL;
		} else if (n != -EAGAIN || over || misled) {
			descriptor_leave(d);
		}
		bool full = n == IO_FULL || (n == -EAGAIN && misled);
		if (over || (n != -EAGAIN && !full)) {
			if (n == -EAGAIN || n == IO_FULL)
				n = call->never_waits ? -EAGAIN : -ETIMEDOUT;
			if (w)
				w = fast_path(w);
			return n;
		}
		if (full) {
			call->misled = false;
			rc = wait_a_moment(deadline);
		} else {
			rc = w ? wait_as_task(w, call, fd, d, edges, deadline)
			       : wait_as_thread(call, fd, d, deadline);
		}
		blocks = rc == -EPERM && call->block;
		if (rc < 0 && !blocks)
			return rc;
	}
}
