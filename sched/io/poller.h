/* SPDX-License-Identifier: MIT */
/*
 * The poller: a runtime's epoll, and what its events do. It is made at the runtime's first wait for
 * a descriptor. descriptor.h says what an event means.
 *
 * Rejected: a poller for each worker. A descriptor would belong to one worker, and its events would
 * be stuck there while that worker computes.
 */
#ifndef WEFT_IO_POLLER_H
#define WEFT_IO_POLLER_H

#include "descriptor.h"
#include "sched/core/events.h"
#include "sched/core/runtime.h"

#include <sys/epoll.h>

/* How many events one look takes. */
#define POLLER_EVENTS 64

struct poller {
	struct attachment attachment; /* first */
	struct event_source source;
	/* immutable */
	struct weft_runtime *rt;
	uint32_t number; /* never used again in the process; not 0 */
	int epoll;
	int bell;                    /* an eventfd in it: writing it ends a wait */
	_Atomic bool without_pwait2; /* the system does not have epoll_pwait2() */
	/* What the lookout has found. */
	struct epoll_event found[POLLER_EVENTS];
	int found_count;

	struct poller *next; /* under WEFT__LOCK_POLLERS */
};

static inline struct poller *poller_of_source(struct event_source *source)
{
	return container_of(source, struct poller, source);
}

/* The runtime's poller, or NULL. */
static inline struct poller *poller_if_any(struct weft_runtime *rt)
{
	struct event_source *source = events_source(&rt->events);

	return source ? poller_of_source(source) : NULL;
}

/* The runtime's poller, made if necessary. On failure NULL, and *ret_rc is -EMFILE, -ENFILE or
 * -ENOMEM. */
struct poller *weft__poller_of(struct weft_runtime *rt, int *ret_rc);

static inline bool descriptor_in_poller(struct descriptor *d, const struct poller *p)
{
	/* relaxed, both: who is inside has entered after the last closer. */
	return load_relaxed(&d->pollers[0]) == p->number ||
	       load_relaxed(&d->pollers[1]) == p->number;
}

/* Whether any poller may set its `ready`. */
static inline bool descriptor_is_polled(struct descriptor *d)
{
	return load_relaxed(&d->pollers[0]) != 0;
}

/* Adds fd, whose state is d, to the poller. The caller is inside. Returns 0; -EPERM if it is always
 * ready; -EBADF; or -ENOMEM. */
int weft__poller_add(struct poller *p, int fd, struct descriptor *d);

/* Takes fd out of every poller that has it. By its closer. */
void weft__poller_remove(int fd, struct descriptor *d);

#endif
