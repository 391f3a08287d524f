/* SPDX-License-Identifier: MIT */
/* The smallest thing that is built on the wait protocol: one waiter, one token. For tests that wake tasks. */
#ifndef WEFT_TESTS_SCHED_CORE_PARKER_H
#define WEFT_TESTS_SCHED_CORE_PARKER_H

#include "sched/core/wait.h"
#include "src/lock.h"

#include <weft/base.h>

struct parker {
	struct weft__lock lock;
	/* under lock */
	struct waiter *waiter;
	bool token;
};

#define PARKER_INIT                          \
	{                                    \
		WEFT__LOCK_INIT, NULL, false \
	}

/* Waits for unpark() or the deadline; a token that is there already is taken at once. */
static inline enum wait_outcome park_until(struct parker *p, int64_t deadline, bool cancellable)
{
	struct waiter waiter;

	weft__wait_begin(&waiter);
	weft__lock(&p->lock);
	bool token = p->token;
	p->token = false;
	if (!token)
		p->waiter = &waiter;
	weft__unlock(&p->lock);
	if (token) {
		weft__wait_abandon(&waiter);
		return WAIT_WOKEN;
	}
	enum wait_outcome outcome = weft__wait(&waiter, deadline, cancellable);
	weft__lock(&p->lock);
	if (p->waiter == &waiter)
		p->waiter = NULL;
	weft__unlock(&p->lock);
	return outcome;
}

static inline void park(struct parker *p)
{
	park_until(p, WEFT_FOREVER, false);
}

static inline void unpark(struct parker *p)
{
	struct wakeup wakeup;
	bool wake = false;

	weft__lock(&p->lock);
	if (p->waiter)
		wake = weft__wait_claim(p->waiter, WAIT_WOKEN, &wakeup);
	if (wake)
		p->waiter = NULL;
	else
		p->token = true;
	weft__unlock(&p->lock);
	if (wake)
		weft__wait_wake(wakeup);
}

#endif
