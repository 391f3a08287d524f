/* SPDX-License-Identifier: MIT */
/*
 * The common course of a call that transfers data: try, and wait until another try may succeed.
 */
#ifndef WEFT_IO_CALL_H
#define WEFT_IO_CALL_H

#include "descriptor.h"

#include <stddef.h>
#include <sys/types.h>

/* Special results of an attempt. No system call returns them. */
#define IO_BLOCKS (-100000) /* only a system call that blocks can do it: io_call.block */
#define IO_FULL   (-100001) /* it has to wait for something that makes no event */

struct io_call {
	/* Makes the system call, which must not block. Returns a count, a negative errno value or a
	 * special result. -EAGAIN: it has to wait. Does not change errno. */
	ssize_t (*attempt)(struct io_call *call, int fd, struct descriptor *d);
	/* The same, but it may block. */
	ssize_t (*block)(struct io_call *call, int fd);
	enum io_way way;
	bool looks;       /* it is a watcher, which uses up nothing (descriptor.h) */
	bool never_waits; /* -EAGAIN in place of a wait */
	bool misled;      /* the last wait ended by something else */
	short looks_for;  /* what a plain thread asks poll() for; 0: what the direction says */
	/* When reading from TCP, a result below this uses up what is there. 0: no result does. */
	size_t asked;
	bool begun;          /* it has been inside */
	uint32_t generation; /* of its first look; set once it has begun */
};

/* Enters. Returns 0, or -EBADF if the number belongs to another file by now. */
int weft__io_enter(struct io_call *call, struct descriptor *d);

/* Returns the result of the attempt that did not have to wait, or a negative errno value. */
WEFT__MAY_HOP ssize_t weft__io_call(struct io_call *call, int fd, int64_t deadline);

/* The result of a system call: a negative errno value instead of -1. Restores errno, which was
 * `saved` before. */
ssize_t weft__io_result(ssize_t result, int saved);

#endif
