/* SPDX-License-Identifier: MIT */
/* The smallest object on the wait protocol: one waiter, one token. For tests that wake tasks. */
#ifndef WEFT_TESTS_SCHED_CORE_PARKER_H
#define WEFT_TESTS_SCHED_CORE_PARKER_H

#include "sched/core/wait.h"
#include "src/base/lock.h"
#include "src/base/sanitizer.h"

#include <weft/base.h>
#include <weft/task.h>

struct parker {
	struct weft__lock lock;
	/* under lock */
	struct waiter *waiter;
	bool token;
};

#define PARKER_INIT                                 \
	{                                           \
		WEFT__LOCK_INIT(QUEUE), NULL, false \
	}

/* The lock, with the order that it makes, for -Dtsan=user to see. */
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

/* Waits for unpark() or the deadline. Takes an existing token at once. */
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

/* Two tasks that wake each other as long as `goes_on` allows it. */
struct pair {
	struct parker ping, pong;
	bool (*goes_on)(void);
};

static inline void *pair_ping(void *arg)
{
	struct pair *pair = arg;

	while (pair->goes_on()) {
		unpark(&pair->pong);
		park(&pair->ping);
	}
	unpark(&pair->pong);
	return arg;
}

static inline void *pair_pong(void *arg)
{
	struct pair *pair = arg;

	while (pair->goes_on()) {
		park(&pair->pong);
		unpark(&pair->ping);
	}
	unpark(&pair->ping);
	return arg;
}

/* Spawns both, detached. Returns false if that fails. */
static inline bool pair_spawn(struct pair *pair, bool (*goes_on)(void))
{
	*pair = (struct pair){PARKER_INIT, PARKER_INIT, goes_on};
	return weft_spawn(pair_ping, pair, NULL) == 0 && weft_spawn(pair_pong, pair, NULL) == 0;
}

#endif
