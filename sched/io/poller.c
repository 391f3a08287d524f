/* SPDX-License-Identifier: MIT */
/* The poller (poller.h). */
#include "poller.h"

#include "src/base/alloc.h"
#include "src/base/clock.h"
#include "src/base/eventfd.h"
#include "src/base/fatal.h"
#include "src/base/process_locks.h"
#include "src/base/sanitizer.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define EVERYTHING (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET)

/* What the bell's events carry; no descriptor has this number. */
#define BELL UINT64_MAX

static struct poller *pollers; /* under WEFT__LOCK_POLLERS */
static uint32_t numbers;       /* under WEFT__LOCK_POLLERS */

/* Wakes those who wait for what the event says. */
static void deliver(const struct epoll_event *event)
{
	uint32_t events = event->events, generation = (uint32_t)(event->data.u64 >> 32);
	struct descriptor *d = weft__descriptor_if_known((int)(uint32_t)event->data.u64);

	if (!d)
		return;
	if (events & (EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		weft__direction_edge(d, IO_IN, generation,
				     events & (EPOLLPRI | EPOLLRDHUP | EPOLLHUP | EPOLLERR));
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		weft__direction_edge(d, IO_OUT, generation, events & (EPOLLHUP | EPOLLERR));
}

/* epoll_pwait2(), also where the kernel or a sandbox does not have it. */
static int epoll_ask(struct poller *p, struct epoll_event *found, const struct timespec *timeout)
{
	/* relaxed: each thread may find it out by itself. */
	if (!load_relaxed(&p->without_pwait2)) {
		int count = epoll_pwait2(p->epoll, found, POLLER_EVENTS, timeout, NULL);
		if (count >= 0 || (weft__errno() != ENOSYS && weft__errno() != EPERM))
			return count;
		store_relaxed(&p->without_pwait2, true);
	}
	struct pollfd epoll = {.fd = p->epoll, .events = POLLIN};
	if (ppoll(&epoll, 1, timeout, NULL) < 0)
		return -1;
	return epoll_wait(p->epoll, found, POLLER_EVENTS, 0);
}

static ssize_t read_bell(struct poller *p)
{
	uint64_t rings;

	san_ignore_begin();
	ssize_t n = read(p->bell, &rings, sizeof rings);
	san_ignore_end();
	return n;
}

/* Asks the system. Returns how many events there are, without the bell, which is read. */
static int ask(struct poller *p, struct epoll_event *found, int64_t until)
{
	struct timespec left = {0}, *timeout = &left;
	int saved = weft__errno(), count, kept = 0;

	if (until == WEFT_FOREVER) {
		timeout = NULL;
	} else if (until > 0) {
		int64_t ns = until - weft__clock_now();
		if (ns < 0)
			ns = 0;
		left = (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
	}
	san_ignore_begin(); /* the poller orders nobody */
	count = epoll_ask(p, found, timeout);
	san_ignore_end();
	if (count < 0 && weft__errno() != EINTR)
		weft__fatal("the runtime's epoll (descriptor %d) cannot be waited for: %s; the "
			    "program must "
			    "not close descriptors that it did not open",
			    p->epoll, strerror(weft__errno()));
	for (int i = 0; i < count; i++) {
		if (found[i].data.u64 != BELL)
			found[kept++] = found[i];
		/* Only the lookout may silence it: it is for the lookout. */
		else if (until != 0 && read_bell(p) < 0)
			continue;
	}
	weft__set_errno(saved);
	return kept;
}

static bool source_wait(struct event_source *source, int64_t until)
{
	struct poller *p = poller_of_source(source);

	p->found_count = ask(p, p->found, until > 0 ? until : 1);
	return p->found_count > 0;
}

static void source_deliver(struct event_source *source)
{
	struct poller *p = poller_of_source(source);

	for (int i = 0; i < p->found_count; i++)
		deliver(&p->found[i]);
}

static bool source_look(struct event_source *source)
{
	struct epoll_event found[POLLER_EVENTS];
	int count = ask(poller_of_source(source), found, 0);

	for (int i = 0; i < count; i++)
		deliver(&found[i]);
	return count > 0;
}

static void source_interrupt(struct event_source *source)
{
	weft__eventfd_ring(poller_of_source(source)->bell);
}

static void poller_free(struct poller *p)
{
	san_ignore_begin();
	if (p->bell >= 0)
		close(p->bell);
	if (p->epoll >= 0)
		close(p->epoll);
	free(p);
	san_ignore_end();
}

static void poller_end(struct attachment *attachment)
{
	struct poller *p = (struct poller *)attachment;

	weft__lock_process(WEFT__LOCK_POLLERS);
	struct poller **link = &pollers;
	while (*link != p)
		link = &(*link)->next;
	*link = p->next;
	weft__unlock_process(WEFT__LOCK_POLLERS);
	poller_free(p);
}

/* Returns 0 or a negative errno value. */
static int open_poller(struct poller *p)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = BELL};

	p->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (p->epoll < 0)
		return -weft__errno();
	p->bell = weft__eventfd_open();
	if (p->bell < 0)
		return p->bell;
	if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, p->bell, &event) < 0)
		return -weft__errno();
	return 0;
}

static struct poller *poller_new(struct weft_runtime *rt, int *ret_rc)
{
	struct poller *p = weft__calloc(1, sizeof *p);
	int saved = weft__errno();

	if (!p) {
		*ret_rc = -ENOMEM;
		return NULL;
	}
	p->attachment.free = poller_end;
	p->source =
		(struct event_source){source_wait, source_deliver, source_look, source_interrupt};
	p->rt = rt;
	p->epoll = p->bell = -1;
	san_ignore_begin();
	*ret_rc = open_poller(p);
	san_ignore_end();
	weft__set_errno(saved);
	if (*ret_rc < 0) {
		poller_free(p);
		return NULL;
	}
	weft__lock_process(WEFT__LOCK_POLLERS);
	p->number = ++numbers;
	p->next = pollers;
	pollers = p;
	weft__unlock_process(WEFT__LOCK_POLLERS);
	return p;
}

struct poller *weft__poller_of(struct weft_runtime *rt, int *ret_rc)
{
	struct poller *p = poller_if_any(rt);

	if (p)
		return p;
	p = poller_new(rt, ret_rc);
	if (!p)
		return NULL;
	if (!weft__events_attach(rt, &p->source)) {
		poller_end(&p->attachment);
		*ret_rc = 0;
		return poller_if_any(rt);
	}
	/* release: the poller, for the runtime's end. */
	store_release(&rt->attached[ATTACHED_POLLER], &p->attachment);
	return p;
}

/* Remembers that the poller has d. With more pollers than places one of them is forgotten, whose
 * next wait adds d again. The first place stays, since it says that there are pollers. */
static void note_poller(struct descriptor *d, uint32_t number)
{
	for (unsigned i = 0; i < IO_POLLERS; i++) {
		uint32_t expected = 0;
		/* relaxed, here and below: the lock of a direction orders what follows from it. */
		if (cas_relaxed(&d->pollers[i], &expected, number) || expected == number)
			return;
	}
	store_relaxed(&d->pollers[IO_POLLERS - 1], number);
}

int weft__poller_add(struct poller *p, int fd, struct descriptor *d)
{
	if (descriptor_in_poller(d, p))
		return 0;

	int saved = weft__errno(), rc = 0;
	struct epoll_event event = {
		.events = EVERYTHING,
		/* relaxed: the caller is inside, so no closer changes it. */
		.data.u64 = (uint64_t)load_relaxed(&d->generation) << 32 | (uint32_t)fd,
	};
	san_ignore_begin();
	/* If it is in the poller already, a change makes the system say again what is ready. */
	if (epoll_ctl(p->epoll, EPOLL_CTL_ADD, fd, &event) < 0 &&
	    (weft__errno() != EEXIST || epoll_ctl(p->epoll, EPOLL_CTL_MOD, fd, &event) < 0))
		rc = weft__errno() == ENOSPC ? -ENOMEM : -weft__errno();
	san_ignore_end();
	weft__set_errno(saved);
	if (rc == 0)
		note_poller(d, p->number);
	return rc;
}

void weft__poller_remove(int fd, struct descriptor *d)
{
	if (!descriptor_is_polled(d))
		return;
	int saved = weft__errno();
	weft__lock_process(WEFT__LOCK_POLLERS);
	san_ignore_begin();
	/* In some of them it may not be. */
	for (struct poller *p = pollers; p; p = p->next)
		epoll_ctl(p->epoll, EPOLL_CTL_DEL, fd, NULL);
	san_ignore_end();
	weft__unlock_process(WEFT__LOCK_POLLERS);
	weft__set_errno(saved);
}
