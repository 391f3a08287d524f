/* SPDX-License-Identifier: MIT */
/*
 * What Weft knows of a file descriptor: who is inside a system call on it, who waits for it, and
 * what the poller has said of it. The whole process has one table of them, by number.
 *
 * The life of a descriptor.
 *
 *            first wait: added to a poller            weft_close(), weft_fd_forget()
 *   UNKNOWN ────────────────────────────────► POLLED ──────────────────────────────► UNKNOWN
 *
 * A descriptor that never waits is never polled. It is added edge-triggered for both directions, and
 * stays in that poller until it is closed. A second runtime adds it to its own poller.
 *
 * Readiness. Each direction has a flag `ready`, which says whether a system call may succeed. A
 * caller that finds it set clears it *before* its system call. So an event that comes meanwhile is
 * not overwritten by an older result.
 *
 *   caller                                   poller, on an edge
 *     lock; ready = false; unlock              lock
 *     system call                              ready = true
 *       EAGAIN: lock; if not ready: queue;     take the first waiter
 *               unlock; wait                   unlock; wake it
 *       success, and more may be there:
 *               lock; ready = true; take the
 *               first waiter; unlock; wake it
 *
 * Invariants, for each direction of a polled descriptor:
 *  1. If the system has something for a caller, then `ready` is set, or a caller is between its
 *     clearing and the end of its system call, or an event is on its way.
 *  2. A waiter joins the queue only under the lock and only if `ready` is not set.
 *  3. Whoever sets `ready` takes a waiter in the same critical section. The waiter that it wakes
 *     makes a system call. If that does not use up what is there, this caller sets `ready` again,
 *     which wakes the next waiter. So one wakes the next until nothing is left, or nobody waits.
 *  No wake is lost: by 2 a waiter has joined before the flag is set, and is taken by 3; or it finds
 *  the flag set.
 *
 * What uses up a direction. A system call that fails with EAGAIN does. So does a read from TCP that
 * gets fewer bytes than it asked for. This saves the call that would find out that there is nothing
 * more. It does not hold in these cases:
 *  (a) The peer has closed, or there is an error. `hung_up` remembers that, since it may have come
 *      in one edge with the data.
 *  (b) Urgent data, at which a read stops. Its edge counts as (a), and so does a call that takes it.
 *  (c) Local sockets: a read stops where a descriptor was passed.
 *  (d) Pipes: in packet mode, which the writer chooses, each read gets one packet.
 *  (e) Writes: the system may take fewer bytes for want of memory, and makes no edge then.
 *  (f) TLS in the kernel: a read stops where the kind of record changes.
 *
 * Watchers use up nothing: weft_poll(), and calls that look at something else than what `ready`
 * stands for (MSG_PEEK, MSG_OOB, MSG_ERRQUEUE, an attempt to connect). They never clear `ready`.
 * Each of them counts the edges before its system call, and joins the watchers only if there was
 * none since. An edge wakes all watchers.
 *
 * A call that was woken may find that the descriptor was closed before it ran, and that the number
 * belongs to another file. So each call remembers the generation of its first look, and fails with
 * -EBADF if it finds another one later (weft__io_enter()).
 *
 * Closing. `calls` counts the callers between enter() and leave(): those inside a system call, and
 * those about to join a queue. Waiters and poll() of plain threads are not counted. weft_close()
 * sets CLOSING, wakes all waiters with -EBADF, and waits until the count is 0. Then it takes the
 * descriptor out of the pollers, closes it, and clears CLOSING. A caller that finds CLOSING waits
 * until it is clear: the number may belong to another file by then.
 *
 *   enter()                                  weft_close()
 *     fetch_add(state, CALL)                   fetch_or(state, CLOSING)
 *     the result has CLOSING: step back        wait until state has no calls
 *
 * Both work on one word, so one of them is first: either the caller sees CLOSING, or the closer
 * sees the call. So no system call is made on a number while it is closed.
 *
 * An event of an older file under the same number is told by `generation`, which is part of what
 * the poller gets from the system.
 *
 * Lock order: a descriptor's locks are taken one at a time, and nothing is taken under them.
 */
#ifndef WEFT_IO_DESCRIPTOR_H
#define WEFT_IO_DESCRIPTOR_H

#include "sched/core/wait.h"
#include "sched/sync/sync_lock.h"
#include "src/base/atomic.h"
#include "src/base/compiler.h"
#include "src/base/list.h"
#include "src/base/sanitizer.h"

#include <poll.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>

/* A waiter's place in the queue of one direction. Lies in the frame of the waiting call. A call that
 * waits for several descriptors has several nodes and one waiter. */
struct io_node {
	struct waiter *waiter;
	struct weft__link link; /* under the direction's lock */
	struct io_node *next;   /* the next one that the same claimer has claimed */
	int status;             /* the claimer's: 0, or -EBADF if the descriptor is being closed */
};

enum io_way { IO_IN, IO_OUT, IO_WAYS };

struct io_direction {
	struct sync_lock lock;
	/* under lock */
	bool ready;
	bool hung_up;
	uint32_t edges;             /* how many the poller has delivered */
	struct weft__list waiters;  /* one of them is woken at a time */
	struct weft__list watchers; /* all of them are woken */
	struct weft__list
		threads; /* plain threads, which poll themselves: only a closer wakes them */
};

/* What kind of file it is; a guess that the system corrects (stream.c). */
enum io_kind {
	IO_KIND_UNKNOWN,
	IO_KIND_TCP,
	IO_KIND_SOCKET, /* another socket */
	IO_KIND_PIPE,
	IO_KIND_FILE, /* a regular file or a block device */
	IO_KIND_OTHER,
};

/* The bits of .state. */
#define IO_CALL     1u /* a caller is inside; counts */
#define IO_CALLS(s) ((s)&0xffffffu)
#define IO_CLOSING  (1u << 31)

/* A descriptor is in up to this many pollers without a system call at each wait. */
#define IO_POLLERS 2

struct descriptor {
	_Atomic uint32_t state;      /* IO_CALLS, IO_CLOSING: any caller */
	_Atomic uint8_t kind;        /* enum io_kind: any caller */
	_Atomic bool alone;          /* a caller is in a system call that must be the only one */
	_Atomic uint32_t generation; /* the closer adds 1 */
	/* The pollers that it was added to, by their numbers; 0: free. Stored by callers that are
	 * inside; the closer clears it. */
	_Atomic uint32_t pollers[IO_POLLERS];
	struct io_direction way[IO_WAYS];
} __attribute__((aligned(64)));

static_assert(sizeof(struct descriptor) <= 192, "ten thousand idle connections cost little");

/* The descriptor of that number; made if necessary. NULL: fd is negative or too large (-EBADF), or
 * there is no memory (-ENOMEM), which *ret_rc says. */
struct descriptor *weft__descriptor(int fd, int *ret_rc);

/* The same, or NULL if it does not exist yet. */
struct descriptor *weft__descriptor_if_known(int fd);

/* Waits until it is no longer closing, and enters. */
void weft__descriptor_enter_slow(struct descriptor *d);

static inline void descriptor_enter(struct descriptor *d)
{
	/* acquire: the last closer's changes, released in weft__descriptor_end_close(). */
	if (unlikely(fetch_add_acquire(&d->state, IO_CALL) & IO_CLOSING))
		weft__descriptor_enter_slow(d);
}

static inline void descriptor_leave(struct descriptor *d)
{
	san_release(d); /* weft_close() comes after all calls that were inside */
	/* release: the end of the system call, for the acquire in weft__descriptor_begin_close(). */
	fetch_sub_release(&d->state, IO_CALL);
}

/* Waits until no other caller is in a system call on it that must be the only one, and begins one.
 * The caller is inside. */
void weft__descriptor_alone_begin(struct descriptor *d);
void weft__descriptor_alone_end(struct descriptor *d);

/* Begins to close: wakes everybody with -EBADF, and waits until no call is inside. */
void weft__descriptor_begin_close(struct descriptor *d);

/* Ends it: forgets everything. The next caller may enter. */
void weft__descriptor_end_close(struct descriptor *d);

/* Forgets what is known of that number, because Weft has just made a file under it. */
void weft__descriptor_is_new(int fd);

/* Looks at `ready`, and clears it if the caller's system call stands for it. *ret_edges is for
 * weft__direction_watch(). */
bool weft__direction_try(struct io_direction *way, bool clears, uint32_t *ret_edges);

/* What an edge does: counts it, sets `ready`, and wakes the next waiter and all watchers. Does
 * nothing if the generation of d is another one by now. */
void weft__direction_edge(struct descriptor *d, enum io_way way, uint32_t generation, bool hung_up);

/* Ends a system call that has succeeded: sets `ready`, and wakes the next waiter. It does neither if
 * the result was short and the peer has not hung up. The caller is inside. */
void weft__direction_pass_on(struct io_direction *way, bool was_short);

/* Remembers that a short read says nothing any more. */
void weft__direction_hang_up(struct io_direction *way);

/* Joins the waiters, unless the direction is ready. */
bool weft__direction_join(struct io_direction *way, struct io_node *node);

/* Joins the watchers, unless an edge was delivered since `edges` was counted. */
bool weft__direction_watch(struct io_direction *way, struct io_node *node, uint32_t edges);

/* Joins the threads. */
void weft__direction_list(struct io_direction *way, struct io_node *node);

/* Leaves the queue, if the node is still in. */
void weft__direction_quit(struct io_direction *way, struct io_node *node);

#endif
