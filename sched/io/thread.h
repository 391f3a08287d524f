/* SPDX-License-Identifier: MIT */
/*
 * How a plain thread waits for descriptors: it sleeps in poll(), beside an eventfd by which closers
 * and cancellers wake it (struct waiter in sched/core/wait.h).
 */
#ifndef WEFT_IO_THREAD_H
#define WEFT_IO_THREAD_H

#include "sched/core/wait.h"

#include <poll.h>
#include <stddef.h>

struct thread_wait {
	struct waiter waiter; /* first */
	struct pollfd *fds;   /* one more than n: the last one is the bell */
	size_t n;
	int error; /* of poll() */
};

/* Begins to wait for fds[0] to fds[n - 1]; fds[n] is used for the bell. Returns 0 or a negative
 * errno value. */
int weft__thread_wait_begin(struct thread_wait *wait, struct pollfd *fds, size_t n);

/* Waits until one of them is ready, or until the waiter has been claimed otherwise. The caller is a
 * plain thread, so it does not hop. */
WEFT__STAYS enum wait_outcome weft__thread_wait(struct thread_wait *wait, int64_t deadline);

/* Frees the bell. The waiter is in no list any more. Returns 0, or a negative errno value if poll()
 * has failed. */
int weft__thread_wait_end(struct thread_wait *wait);

#endif
