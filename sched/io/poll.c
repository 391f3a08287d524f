/* SPDX-License-Identifier: MIT */
/*
 * Waiting for readiness without a transfer. The system's poll() says what is ready; the wait is for
 * the next edge of any of the descriptors.
 *
 *   a task that waits                        poller, on an edge
 *     lock each; note its edges; unlock        lock
 *     poll(): something: return                edges + 1; take all watchers
 *     lock each; more edges: start again       unlock; wake them
 *       else join the watchers; unlock
 *     wait
 *
 * No wake is lost: what comes before poll() is seen by poll(). What comes later makes an edge, which
 * finds the watcher in the list or lets the look start again. A watcher changes nothing that other
 * callers rely on.
 *
 * The descriptors are entered one after the other. A caller that stayed inside several could wait
 * for a closer that waits for another such caller. So a descriptor may be closed between two looks.
 * Its generation tells, and the call returns -EBADF.
 */
#include "poller.h"
#include "sched/core/patience.h"
#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "thread.h"

#include <weft/io.h>

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

/* Up to this many descriptors the call allocates nothing. */
#define FEW 4

/* One descriptor of the call. */
struct watched {
	struct descriptor *d; /* NULL: skipped */
	uint32_t generation;  /* of the first look */
	uint32_t edges[IO_WAYS];
	struct io_node nodes[IO_WAYS];
};

/* Whether the call looks at that direction. Errors and ends show in each. */
static bool looks_at(const struct pollfd *p, enum io_way way)
{
	return way == IO_IN ? p->events != POLLOUT : (p->events & POLLOUT) != 0;
}

/* Enters, if it is still the descriptor of the first look. */
static bool enter(struct watched *one)
{
	descriptor_enter(one->d);
	/* relaxed: a closer changes it only while nobody is inside. */
	if (load_relaxed(&one->d->generation) == one->generation)
		return true;
	descriptor_leave(one->d);
	return false;
}

/* Finds the descriptors. Returns 0 or -ENOMEM. poll() says which are not open. */
static int find_all(const struct pollfd *fds, size_t n, struct watched *all)
{
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		all[i] = (struct watched){0};
		if (fds[i].fd < 0)
			continue;
		all[i].d = weft__descriptor(fds[i].fd, &rc);
		if (!all[i].d && rc == -ENOMEM)
			return rc;
		if (!all[i].d)
			continue;
		descriptor_enter(all[i].d);
		all[i].generation = load_relaxed(&all[i].d->generation);
		descriptor_leave(all[i].d);
	}
	return 0;
}

/* Adds one to the poller, and notes its edges. Returns 0 or a negative errno value. */
static int prepare_one(struct poller *p, const struct pollfd *fd, struct watched *one)
{
	if (!enter(one))
		return -EBADF;
	int rc = weft__poller_add(p, fd->fd, one->d);
	for (unsigned way = 0; way < IO_WAYS; way++)
		weft__direction_try(&one->d->way[way], false, &one->edges[way]);
	descriptor_leave(one->d);
	/* poll() says what they are: always ready, or not open. */
	if (rc == -EPERM || rc == -EBADF) {
		one->d = NULL;
		rc = 0;
	}
	return rc;
}

static int prepare(struct worker *w, struct pollfd *fds, size_t n, struct watched *all)
{
	int rc = 0;
	struct poller *p = weft__poller_of(w->rt, &rc);

	for (size_t i = 0; i < n && rc == 0; i++) {
		if (all[i].d)
			rc = prepare_one(p, &fds[i], &all[i]);
	}
	return rc;
}

/* Joins the watchers of all. Returns false if something has happened meanwhile. */
static bool join(const struct pollfd *fds, size_t n, struct watched *all, struct waiter *waiter)
{
	bool quiet = true;

	for (size_t i = 0; i < n && quiet; i++) {
		struct watched *one = &all[i];

		if (!one->d)
			continue;
		quiet = enter(one);
		if (!quiet)
			break;
		for (unsigned way = 0; way < IO_WAYS && quiet; way++) {
			one->nodes[way].waiter = waiter;
			quiet = !looks_at(&fds[i], way) ||
				weft__direction_watch(&one->d->way[way], &one->nodes[way],
						      one->edges[way]);
		}
		descriptor_leave(one->d);
	}
	return quiet;
}

static void quit(const struct pollfd *fds, size_t n, struct watched *all)
{
	for (size_t i = 0; i < n; i++) {
		for (unsigned way = 0; way < IO_WAYS && all[i].d; way++) {
			if (looks_at(&fds[i], way))
				weft__direction_quit(&all[i].d->way[way], &all[i].nodes[way]);
		}
	}
}

/* Waits for an edge. Returns 0 or a negative errno value. */
static WEFT__MAY_HOP int wait_for_edge(struct worker *w, struct pollfd *fds, size_t n,
				       struct watched *all, int64_t deadline)
{
	struct waiter waiter;
	enum wait_outcome outcome = WAIT_WOKEN;

	struct weft_runtime *rt = w->rt;
	weft__events_wait_begins(w); /* now, since it may be slow */
	weft__wait_begin(&waiter, false);
	bool quiet = join(fds, n, all, &waiter);
	if (quiet || !wait_claim_contended(&waiter, WAIT_WOKEN))
		outcome = weft__wait(&waiter, deadline, true);
	else
		weft__wait_abandon(&waiter);
	weft__events_wait_ends(rt);
	quit(fds, n, all);
	if (outcome != WAIT_WOKEN)
		return wait_errno(outcome);
	for (size_t i = 0; i < n; i++) {
		for (unsigned way = 0; way < IO_WAYS && all[i].d; way++) {
			if (all[i].nodes[way].status < 0)
				return all[i].nodes[way].status;
		}
	}
	return 0;
}

/* Returns how many are ready, or a negative errno value. */
static int look(struct pollfd *fds, size_t n)
{
	int saved = weft__errno(), rc;

	do
		rc = poll(fds, n, 0);
	while (rc < 0 && weft__errno() == EINTR);
	if (rc < 0)
		rc = -weft__errno();
	weft__set_errno(saved);
	return rc;
}

static WEFT__MAY_HOP int poll_as_task(struct pollfd *fds, size_t n, struct watched *all,
				      int64_t deadline)
{
	for (;;) {
		struct worker *w = weft__worker();
		int rc = prepare(w, fds, n, all);
		if (rc == 0)
			rc = look(fds, n);
		if (rc == 0 && deadline <= 0)
			rc = -ETIMEDOUT;
		if (rc != 0) {
			w = fast_path(w);
			return rc;
		}
		rc = wait_for_edge(w, fds, n, all, deadline);
		if (rc < 0)
			return rc;
	}
}

/* Lists the thread with all. A node stands for both directions. Returns 0, or -EBADF if one was
 * closed. */
static int list_thread(struct watched *all, size_t n, struct waiter *waiter)
{
	for (size_t i = 0; i < n; i++) {
		if (!all[i].d)
			continue;
		all[i].nodes[IO_IN].waiter = waiter;
		if (!enter(&all[i]))
			return -EBADF;
		weft__direction_list(&all[i].d->way[IO_IN], &all[i].nodes[IO_IN]);
		descriptor_leave(all[i].d);
	}
	return 0;
}

/* Takes it out again. Returns 0, or -EBADF if one of them has been closed. */
static int unlist_thread(struct watched *all, size_t n)
{
	int rc = 0;

	for (size_t i = 0; i < n; i++) {
		if (!all[i].d)
			continue;
		weft__direction_quit(&all[i].d->way[IO_IN], &all[i].nodes[IO_IN]);
		if (all[i].nodes[IO_IN].status < 0)
			rc = all[i].nodes[IO_IN].status;
	}
	return rc;
}

/* The same for a plain thread. Returns 0 if it must look again. */
static int wait_in_thread(struct pollfd *fds, size_t n, struct watched *all, struct pollfd *copy,
			  int64_t deadline)
{
	struct thread_wait wait;
	enum wait_outcome outcome = WAIT_WOKEN;

	for (size_t i = 0; i < n; i++)
		copy[i] = fds[i];
	int rc = weft__thread_wait_begin(&wait, copy, n);
	if (rc < 0)
		return rc;
	rc = list_thread(all, n, &wait.waiter);
	/* If one is closed, a closer of another one may still have claimed the waiter. */
	if (rc == 0 || !wait_claim_contended(&wait.waiter, WAIT_WOKEN))
		outcome = weft__thread_wait(&wait, deadline);
	int closed = unlist_thread(all, n), error = weft__thread_wait_end(&wait);
	if (rc < 0)
		return rc;
	return outcome != WAIT_WOKEN ? wait_errno(outcome) : closed < 0 ? closed : error;
}

static int poll_as_thread(struct pollfd *fds, size_t n, struct watched *all, struct pollfd *copy,
			  int64_t deadline)
{
	for (;;) {
		int rc = look(fds, n);
		if (rc == 0 && deadline <= 0)
			rc = -ETIMEDOUT;
		if (rc == 0)
			rc = wait_in_thread(fds, n, all, copy, deadline);
		if (rc != 0)
			return rc;
	}
}

WEFT__MAY_HOP int weft_poll(struct pollfd *fds, size_t n, int64_t deadline)
{
	struct worker *w = weft__worker();
	bool task = w && w->task;
	struct watched few[FEW], *all = few;
	struct pollfd few_copies[FEW + 1], *copies = few_copies;
	int rc = -ENOMEM;

	if (n > 0 && !fds)
		return -EFAULT;
	if (n > INT_MAX - 1)
		return -EINVAL;
	if (n > FEW) {
		all = weft__calloc(n, sizeof *all);
		copies = task ? NULL : weft__calloc(n + 1, sizeof *copies);
	}
	if (all && (task || copies))
		rc = find_all(fds, n, all);
	if (rc == 0)
		rc = task ? poll_as_task(fds, n, all, deadline)
			  : poll_as_thread(fds, n, all, copies, deadline);
	if (n > FEW) {
		free(all);
		free(copies);
	}
	return rc;
}

WEFT__MAY_HOP int weft_fd_wait(int fd, short events, int64_t deadline)
{
	struct pollfd one = {.fd = fd, .events = events};

	if (fd < 0)
		return -EBADF;
	int rc = weft_poll(&one, 1, deadline);
	if (rc < 0)
		return rc;
	return one.revents & POLLNVAL ? -EBADF : one.revents;
}
