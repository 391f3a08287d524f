/* SPDX-License-Identifier: MIT */
/* The smallest thing that is built on the wait protocol: one waiter, one token. For tests that wake
 * tasks. */
#ifndef WEFT_TESTS_SCHED_CORE_PARKER_H
#define WEFT_TESTS_SCHED_CORE_PARKER_H

#include "sched/core/wait.h"
#include "src/lock.h"
#include "src/sanitizer.h"

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

/* The lock, with the order that it makes for -Dtsan=user to see. */
static inline void parker_lock(struct parker *p)
{
	weft__lock(&p->lock);
	san_acquire(p);
}

static inline void parker_unlock(struct parker *p)
{
	san_release(p);
	weft__unlock(&p->lock);
}

/* Waits for unpark() or the deadline; a token that is there already is taken at once. */
static inline enum wait_outcome park_until(struct parker *p, int64_t deadline, bool cancellable)
{
	struct waiter waiter;

	weft__wait_begin(&waiter, deadline == WEFT_FOREVER);
	parker_lock(p);
	bool token = p->token;
	p->token = false;
	if (!token)
		p->waiter = &waiter;
	parker_unlock(p);
	if (token) {
		weft__wait_abandon(&waiter);
		return WAIT_WOKEN;
	}
	enum wait_outcome outcome = weft__wait(&waiter, deadline, cancellable);
	parker_lock(p);
	if (p->waiter == &waiter)
		p->waiter = NULL;
	parker_unlock(p);
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

	parker_lock(p);
	if (p->waiter)
		wake = weft__wait_claim(p->waiter, &wakeup);
	if (wake)
		p->waiter = NULL;
	else
		p->token = true;
	parker_unlock(p);
	if (wake)
		weft__wait_wake(wakeup);
}

#endif
