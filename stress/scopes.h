/* SPDX-License-Identifier: MIT */
/*
 * Scopes, for the stress of cancellation: a part of the program cancel. A guest of a scope is a
 * fork, a fork of it, or a member of a group that was begun in the scope. The scope is cancelled by
 * its deadline, by another task, by the scope around it, or with its task. All of these may come
 * while forks are made, stolen and joined. The checks are:
 *
 *  1. Each guest of a scope that will be cancelled learns of it. One that does not would sleep for
 *     ever.
 *  2. A wait is cut short, and a scope's end says so, only if there was a reason.
 *  3. A fork that was made outside of the scope, and the task after the scope's end, do not learn
 *     of it.
 *  4. Once its task has learned of the request, a scope's memory may be used for something else.
 */
#ifndef WEFT_STRESS_SCOPES_H
#define WEFT_STRESS_SCOPES_H

#include "stress.h"

#include <errno.h>
#include <string.h>

#define SCOPE_WAIT_MAX_NS 60000
#define SCOPE_FORKS_MAX   3
#define SCOPE_SCRIBBLE    0xa5

/* A scope, and what may cancel it. */
struct enclosure {
	weft_scope scope;
	const struct enclosure *outer;
	uint64_t stream;
	int64_t deadline;
	bool by_hand;  /* another task cancels it */
	bool canceled; /* the task is cancelled, perhaps */
	weft_task *canceller;
};

/* Somebody in a scope. */
struct inmate {
	const struct enclosure *enclosure;
	uint64_t stream;
	unsigned depth; /* of forks below */
};

static inline bool has_passed(int64_t deadline)
{
	return deadline != WEFT_FOREVER && weft_now() >= deadline;
}

/* Whether there is a reason for a cancellation inside of it. */
static inline bool may_be_cancelled(const struct enclosure *e)
{
	for (const struct enclosure *o = e; o; o = o->outer)
		if (o->by_hand || o->canceled || has_passed(o->deadline))
			return true;
	return false;
}

/* Whether a cancellation will certainly come. */
static inline bool will_be_cancelled(const struct enclosure *e)
{
	for (const struct enclosure *o = e; o; o = o->outer)
		if (o->canceller || o->deadline != WEFT_FOREVER)
			return true;
	return false;
}

static inline void spend_time(struct weft__random *random)
{
	switch (weft__random_below(random, 4)) {
	case 0:
		weft_yield();
		break;
	case 1:
		weft_cancel_mask();
		weft_sleep(1 + weft__random_below(random, SCOPE_WAIT_MAX_NS / 2));
		weft_cancel_unmask();
		break;
	case 2:
		for (uint32_t i = weft__random_below(random, 2000); i > 0; i--)
			__asm__ volatile("");
		break;
	default:
		break;
	}
}

/* Waits, or computes, perhaps until it is cancelled. */
static inline void serve_time(struct weft__random *random, const struct enclosure *e)
{
	bool to_the_end = will_be_cancelled(e) && stress_one_in(random, 2);
	int64_t deadline = to_the_end ? WEFT_FOREVER
				      : weft_after(weft__random_below(random, SCOPE_WAIT_MAX_NS));

	if (to_the_end && stress_one_in(random, 4)) {
		while (!weft_cancelled())
			weft_yield();
		stress_check(may_be_cancelled(e), "a scope was cancelled by nobody");
		return;
	}
	int rc = weft_sleep_until(deadline);
	stress_check(rc == 0 || rc == -ECANCELED, "weft_sleep_until: %s", strerror(-rc));
	stress_check(rc != 0 || weft_now() >= deadline, "a sleep in a scope ended too early");
	stress_check(rc == 0 || (weft_cancelled() && may_be_cancelled(e)),
		     "a wait in a scope was cancelled by nobody");
}

static inline void *inmate(void *arg)
{
	const struct inmate *self = arg;
	struct inmate below = {self->enclosure, self->stream + 1, self->depth - 1};
	struct weft__random random;
	weft_forked fork;

	weft__random_seed(&random, self->stream);
	bool forks = self->depth > 0 && stress_one_in(&random, 2);
	if (forks)
		weft_fork(&fork, inmate, &below);
	spend_time(&random);
	serve_time(&random, self->enclosure);
	if (forks)
		weft_fork_join(&fork);
	return NULL;
}

/* It waits in no scope, though its parent may be in one by then. */
static inline void *outsider(void *arg)
{
	const struct inmate *self = arg;
	struct weft__random random;

	weft__random_seed(&random, self->stream);
	int rc = weft_sleep(weft__random_below(&random, SCOPE_WAIT_MAX_NS));
	stress_check(rc == 0 || self->enclosure->canceled,
		     "a scope cancelled a fork that was made outside of it");
	return NULL;
}

static inline void *cancel_scope(void *arg)
{
	struct enclosure *e = arg;
	struct weft__random random;

	weft__random_seed(&random, ~e->stream);
	spend_time(&random);
	weft_scope_cancel(&e->scope);
	return NULL;
}

static inline void enter(struct weft__random *random, struct enclosure *e)
{
	e->stream = weft__random_next(random);
	e->by_hand = stress_one_in(random, 2);
	e->deadline = stress_one_in(random, 2)
			      ? WEFT_FOREVER
			      : weft_after(weft__random_below(random, SCOPE_WAIT_MAX_NS));
	weft_scope_begin(&e->scope, e->deadline);
	if (e->by_hand && weft_spawn(cancel_scope, e, &e->canceller) < 0)
		e->canceller = NULL;
}

static inline void leave(struct enclosure *e)
{
	/* The canceller is the only reason, so if the scope is cancelled its task has learned of
	 * that request. The canceller may still be in its call then. */
	bool alone = !e->outer && !e->canceled && e->deadline == WEFT_FOREVER;
	bool learned = weft_cancelled();
	weft_task *canceller = e->canceller;

	if (canceller && !(alone && learned)) {
		weft_cancel_mask();
		stress_joined(weft_join(canceller, NULL));
		weft_cancel_unmask();
		canceller = NULL;
	}
	int rc = weft_scope_end(&e->scope);
	stress_check(rc == 0 || rc == -ECANCELED || rc == -ETIMEDOUT, "weft_scope_end: %d", rc);
	stress_check(rc != -ETIMEDOUT || has_passed(e->deadline),
		     "a scope's deadline was too early");
	stress_check(rc != -ECANCELED || e->by_hand || e->canceled ||
			     (e->outer && may_be_cancelled(e->outer)),
		     "a scope was cancelled by nobody");
	stress_check(rc != 0 || !learned, "a scope's end does not know what its task has learned");
	memset((void *)&e->scope, SCOPE_SCRIBBLE, sizeof(e->scope));
	if (canceller) {
		weft_cancel_mask();
		stress_joined(weft_join(canceller, NULL));
		weft_cancel_unmask();
	}
}

/* A life in a scope, perhaps with another scope in it. */
static inline void live_in_scope(struct weft__random *random, const struct enclosure *outer,
				 bool canceled)
{
	struct enclosure e = {.outer = outer, .canceled = canceled};
	struct inmate inmates[SCOPE_FORKS_MAX + 1];
	weft_forked forks[SCOPE_FORKS_MAX];
	unsigned count = weft__random_below(random, SCOPE_FORKS_MAX + 1);
	weft_group group;
	bool in_group = stress_one_in(random, 3);

	enter(random, &e);
	for (unsigned i = 0; i <= SCOPE_FORKS_MAX; i++)
		inmates[i] = (struct inmate){&e, weft__random_next(random),
					     weft__random_below(random, 3)};
	if (in_group) {
		weft_group_init(&group);
		int rc = weft_group_spawn(&group, inmate, &inmates[SCOPE_FORKS_MAX]);
		stress_check(rc == 0 || rc == -ENOMEM, "weft_group_spawn: %s", strerror(-rc));
	}
	for (unsigned i = 0; i < count; i++)
		weft_fork(&forks[i], inmate, &inmates[i]);
	if (!outer && stress_one_in(random, 3))
		live_in_scope(random, &e, canceled);
	else
		serve_time(random, &e);
	for (unsigned i = count; i-- > 0;)
		weft_fork_join(&forks[i]);
	if (in_group) {
		int rc = weft_group_wait(&group);
		stress_check(rc == 0 || (rc == -ECANCELED && may_be_cancelled(&e)),
			     "weft_group_wait: %s", strerror(-rc));
		weft_group_fini(&group);
	}
	leave(&e);
	stress_check(outer || canceled || !weft_cancelled(),
		     "a task is cancelled after the end of its scope");
}

#endif
