/* SPDX-License-Identifier: MIT */
/* Plain threads that wait for descriptors (thread.h). */
#include "thread.h"

#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/eventfd.h"
#include "src/base/pause.h"

#include <errno.h>
#include <time.h>

/* Sleeps in poll(). Claims the waiter if a descriptor is ready. */
static int sleep_in_poll(struct waiter *waiter, int64_t until)
{
	struct thread_wait *wait = (struct thread_wait *)waiter;
	struct timespec left, *timeout = NULL;
	int saved = weft__errno();

	if (until != WEFT_FOREVER) {
		int64_t ns = until - weft__clock_now();
		if (ns < 0)
			ns = 0;
		left = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
		timeout = &left;
	}
	int rc = ppoll(wait->fds, wait->n + 1, timeout, NULL);
	if (rc < 0)
		rc = -weft__errno();
	weft__set_errno(saved);
	if (rc == 0)
		return -ETIMEDOUT;
	if (rc == -EINTR)
		return 0;
	if (rc < 0)
		wait->error = rc;
	/* Somebody has claimed the waiter, and is about to signal. */
	if (rc > 0 && wait->fds[wait->n].revents) {
		weft__pause(0);
		return 0;
	}
	/* relaxed: the thread itself reads it. */
	if (wait_claim_contended(waiter, WAIT_WOKEN))
		store_relaxed(&waiter->signal, 1);
	return 0;
}

int weft__thread_wait_begin(struct thread_wait *wait, struct pollfd *fds, size_t n)
{
	int bell = weft__eventfd_open();

	if (bell < 0)
		return bell;
	weft__wait_begin(&wait->waiter, false);
	wait->waiter.sleep = sleep_in_poll;
	wait->waiter.bell = bell;
	wait->fds = fds;
	wait->n = n;
	wait->error = 0;
	fds[n] = (struct pollfd){.fd = bell, .events = POLLIN};
	return 0;
}

enum wait_outcome weft__thread_wait(struct thread_wait *wait, int64_t deadline)
{
	return weft__wait(&wait->waiter, deadline, true);
}

int weft__thread_wait_end(struct thread_wait *wait)
{
	weft__eventfd_close(wait->waiter.bell);
	return wait->error;
}
