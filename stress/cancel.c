/* SPDX-License-Identifier: MIT */
/*
 * Wake-up against timeout against cancellation. Tasks wait for an event that comes at about the
 * same time as their deadline and a cancel. Exactly one of the three wins. The checks are:
 *
 *  1. The result of a wait is true at the moment of its return.
 *  2. A wait takes or loses nothing beyond what it reports.
 *  3. A masked wait is not cancelled.
 *
 * The actors:
 *
 *   director        starts the others and joins them. There are many at a time.
 *   sleeper         sleeps, plainly and in masked regions.
 *   joiner, child   The joiner joins the child with a deadline. In the end it has joined it exactly
 *                   once.
 *   host, guest     The host and its helper spawn guests into a group with a limit, and the host
 *                   receives their results. No place and no result is lost.
 *   scoped          has scopes, with forks and groups in them (scopes.h)
 *   hermit          a plain thread that waits in scopes (hermits.h)
 *   canceller       a task, two tasks at once, or a plain thread. Hermits cancel each other.
 */
#include "hermits.h"
#include "scopes.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#define DIRECTORS   16
#define THREADS     2
#define WAIT_MAX_NS 60000
#define SPIN_MAX    4000

/* A plain thread that cancels for others. */
struct clerk {
	pthread_t thread;
	/* A director puts its victim in (release, which the clerk acquires). It then waits for NULL
	 * (the other way round). */
	_Atomic(weft_task *) victim;
	_Atomic bool end; /* relaxed */
};

/* A director and its tasks share it. Spawn and join order the accesses. */
struct scene {
	uint64_t stream;
	weft_task *victim;
	bool canceled; /* there is a canceller; without one no wait may report a cancel */
	uintptr_t token;
};

static struct clerk clerks[THREADS];

static void spin(struct weft__random *random)
{
	for (uint32_t i = weft__random_below(random, SPIN_MAX); i > 0; i--)
		__asm__ volatile("");
}

/* Lets some time pass, on the processor or off it. */
static void dawdle(struct weft__random *random)
{
	switch (weft__random_below(random, 4)) {
	case 0:
		weft_yield();
		break;
	case 1:
		weft_cancel_mask();
		weft_sleep(1 + weft__random_below(random, WAIT_MAX_NS));
		weft_cancel_unmask();
		break;
	case 2:
		spin(random);
		break;
	default:
		break;
	}
}

static int64_t some_deadline(struct weft__random *random)
{
	if (stress_one_in(random, 16))
		return 0;
	return weft_after(weft__random_below(random, WAIT_MAX_NS));
}

static void *sleeper(void *arg)
{
	const struct scene *scene = arg;
	struct weft__random random;

	weft__random_seed(&random, scene->stream);
	for (unsigned i = 1 + weft__random_below(&random, 4); i > 0; i--) {
		bool masked = stress_one_in(&random, 3);
		bool before = weft_cancelled();
		int64_t deadline = some_deadline(&random);
		if (masked)
			weft_cancel_mask();
		int rc = weft_sleep_until(deadline);
		if (masked)
			weft_cancel_unmask();
		stress_check(rc == 0 || rc == -ECANCELED, "weft_sleep_until: %s", strerror(-rc));
		stress_check(rc != 0 || weft_now() >= deadline,
			     "a sleep ended before its deadline%s",
			     masked ? ", in a masked region" : "");
		if (rc != -ECANCELED)
			continue;
		stress_check(!masked, "a masked sleep was cancelled");
		stress_check(scene->canceled && weft_cancelled(),
			     "a sleep was cancelled by nobody");
		/* The cancel is sticky, so the next wait does not wait either. */
		rc = weft_sleep_until(WEFT_FOREVER);
		stress_check(rc == -ECANCELED, "a cancelled task's next sleep: %d", rc);
		stress_check(!before || weft_cancelled(), "a cancellation was taken back");
	}
	stress_did(1);
	return arg;
}

static void *child(void *arg)
{
	const struct scene *scene = arg;
	struct weft__random random;

	weft__random_seed(&random, ~scene->stream);
	dawdle(&random);
	stress_did(1);
	return (void *)scene->token;
}

/* Joins a child exactly once, even if joins are given up. */
static void join_until_joined(struct weft__random *random, const struct scene *scene,
			      weft_task *task)
{
	void *result = NULL;
	bool masked = false;
	int rc;

	for (;;) {
		int64_t deadline = stress_one_in(random, 4) ? WEFT_FOREVER : some_deadline(random);
		rc = weft_join_until(task, &result, deadline);
		if (rc == 0)
			break;
		stress_check(!result, "a join that gave up has a result");
		if (rc == -ETIMEDOUT) {
			stress_check(deadline != WEFT_FOREVER && weft_now() >= deadline,
				     "a join timed out before its deadline");
		} else if (rc == -ECANCELED) {
			stress_check(!masked, "a masked join was cancelled");
			stress_check(scene->canceled && weft_cancelled(),
				     "a join was cancelled by nobody");
			weft_cancel_mask();
			masked = true;
		} else {
			stress_fail("weft_join_until: %s", strerror(-rc));
			return;
		}
	}
	if (masked)
		weft_cancel_unmask();
	stress_check((uintptr_t)result == scene->token, "a child's result is %#lx, not %#lx",
		     (unsigned long)(uintptr_t)result, (unsigned long)scene->token);
}

static void *joiner(void *arg)
{
	const struct scene *scene = arg;
	struct weft__random random;
	weft_task *task;

	weft__random_seed(&random, scene->stream);
	if (weft_spawn(child, arg, &task) == 0) {
		if (stress_one_in(&random, 2))
			spin(&random);
		join_until_joined(&random, scene, task);
	}
	stress_did(1);
	return arg;
}

/* A group, and the counts of its guests. */
struct party {
	weft_group group;
	uint64_t stream;
	bool canceled;
	size_t limit;
	/* relaxed: read after all have ended */
	_Atomic unsigned present, invited, left;
};

static void *guest(void *arg)
{
	struct party *party = arg;
	struct weft__random random;
	unsigned present = atomic_fetch_add_explicit(&party->present, 1, memory_order_relaxed) + 1;

	stress_check(present <= party->limit, "%u of a group run beyond its limit of %zu", present,
		     party->limit);
	weft__random_seed(&random, party->stream + present);
	dawdle(&random);
	atomic_fetch_sub_explicit(&party->present, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&party->left, 1, memory_order_relaxed);
	return party;
}

static void invite(struct weft__random *random, struct party *party, unsigned guests)
{
	for (; guests > 0; guests--) {
		int64_t deadline = some_deadline(random);
		uint32_t how = weft__random_below(random, 3);
		int rc = how == 0   ? weft_group_spawn(&party->group, guest, party)
			 : how == 1 ? weft_group_try_spawn(&party->group, guest, party)
				    : weft_group_spawn_until(&party->group, guest, party, deadline);
		if (rc == 0)
			atomic_fetch_add_explicit(&party->invited, 1, memory_order_relaxed);
		else if (rc == -EAGAIN)
			stress_check(how == 1, "weft_group_try_spawn was not called: %d", rc);
		else if (rc == -ETIMEDOUT)
			stress_check(how == 2 && weft_now() >= deadline,
				     "a spawn timed out before its deadline");
		else if (rc == -ECANCELED)
			stress_check(party->canceled && weft_cancelled(),
				     "a spawn was cancelled by nobody");
		else
			stress_check(rc == -ENOMEM, "weft_group_spawn: %s", strerror(-rc));
	}
}

static void *helper(void *arg)
{
	struct party *party = arg;
	struct weft__random random;

	weft__random_seed(&random, ~party->stream);
	invite(&random, party, weft__random_below(&random, 4));
	return NULL;
}

/* Receives at most that many results, and none after a cancel. */
static unsigned receive(struct weft__random *random, struct party *party, unsigned most)
{
	unsigned received = 0;
	void *result = NULL;
	int rc;

	while (received < most) {
		int64_t deadline = some_deadline(random);
		rc = weft_group_next_until(&party->group, &result, deadline);
		stress_check(rc != 0 || result == party, "a result is %p", result);
		stress_check(rc != -ETIMEDOUT || weft_now() >= deadline,
			     "a receive timed out before its deadline");
		stress_check(rc != -ECANCELED || (party->canceled && weft_cancelled()),
			     "a receive was cancelled by nobody");
		if (rc < 0)
			break;
		received++;
	}
	return received;
}

static void *host(void *arg)
{
	const struct scene *scene = arg;
	struct party party = {.stream = scene->stream, .canceled = scene->canceled};
	struct weft__random random;
	unsigned received = 0;
	weft_task *task;

	weft__random_seed(&random, scene->stream);
	bool keeps = stress_one_in(&random, 2);
	party.limit = 1 + weft__random_below(&random, 3);
	weft_group_init(&party.group);
	weft_group_set_limit(&party.group, party.limit);
	if (keeps)
		weft_group_keep_results(&party.group);
	bool helped = weft_spawn(helper, &party, &task) == 0;
	invite(&random, &party, 1 + weft__random_below(&random, 4));
	if (keeps)
		received = receive(&random, &party, weft__random_below(&random, 4));
	weft_cancel_mask();
	if (helped)
		stress_joined(weft_join(task, NULL));
	while (keeps && weft_group_next(&party.group, NULL) == 0)
		received++;
	int rc = weft_group_wait(&party.group);
	weft_cancel_unmask();
	stress_check(rc == 0, "weft_group_wait: %s", strerror(-rc));
	unsigned invited = atomic_load_explicit(&party.invited, memory_order_relaxed);
	unsigned left = atomic_load_explicit(&party.left, memory_order_relaxed);
	stress_check(invited == left, "%u of a group were spawned, and %u have run", invited, left);
	stress_check(!keeps || received == invited, "%u of %u results were received", received,
		     invited);
	weft_group_fini(&party.group);
	stress_did(1);
	return arg;
}

static void *scoped(void *arg)
{
	const struct scene *scene = arg;
	struct enclosure nowhere = {.canceled = scene->canceled};
	struct inmate outside = {&nowhere, ~scene->stream, 0};
	struct weft__random random;
	weft_forked fork;

	weft__random_seed(&random, scene->stream);
	weft_fork(&fork, outsider, &outside);
	for (unsigned i = 1 + weft__random_below(&random, 2); i > 0; i--)
		live_in_scope(&random, NULL, scene->canceled);
	weft_fork_join(&fork);
	stress_did(1);
	return arg;
}

static void cancel(weft_task *task)
{
	int rc = weft_cancel(task);

	stress_check(rc == 0, "weft_cancel: %s", strerror(-rc));
}

static void *canceller(void *arg)
{
	const struct scene *scene = arg;
	struct weft__random random;

	weft__random_seed(&random, scene->stream + 1);
	dawdle(&random);
	cancel(scene->victim);
	return NULL;
}

/* Lets a plain thread cancel the victim, if one is free. */
static bool cancel_by_clerk(struct weft__random *random, weft_task *victim)
{
	struct clerk *clerk = &clerks[weft__random_below(random, THREADS)];
	weft_task *none = NULL;

	/* release, acquire: see struct clerk. */
	if (!atomic_compare_exchange_strong_explicit(&clerk->victim, &none, victim,
						     memory_order_release, memory_order_relaxed))
		return false;
	/* Another director's victim may follow. In either case ours is done. */
	while (atomic_load_explicit(&clerk->victim, memory_order_acquire) == victim)
		weft_yield();
	return true;
}

static void *clerk_main(void *arg)
{
	struct clerk *clerk = arg;

	while (!atomic_load_explicit(&clerk->end, memory_order_relaxed)) {
		weft_task *victim = atomic_load_explicit(&clerk->victim, memory_order_acquire);
		if (!victim) {
			sched_yield();
			continue;
		}
		cancel(victim);
		atomic_store_explicit(&clerk->victim, NULL, memory_order_release);
	}
	return NULL;
}

static void play(struct weft__random *random)
{
	struct scene scene = {.stream = weft__random_next(random),
			      .token = (uintptr_t)weft__random_next(random)};
	unsigned cancellers = weft__random_below(random, 3);
	weft_task *tasks[2];

	scene.canceled = cancellers > 0;
	static weft_fn *const victims[] = {sleeper, joiner, host, scoped};
	if (weft_spawn(victims[weft__random_below(random, 4)], &scene, &scene.victim) < 0)
		return;
	unsigned started = 0;
	bool by_clerk = !stress_alone() && cancellers > 0 && stress_one_in(random, 4) &&
			cancel_by_clerk(random, scene.victim);
	while (!by_clerk && started < cancellers &&
	       weft_spawn(canceller, &scene, &tasks[started]) == 0)
		started++;
	while (started > 0)
		stress_joined(weft_join(tasks[--started], NULL));

	void *result = NULL;
	int rc = weft_join(scene.victim, &result);
	stress_check(rc == 0 && result == &scene, "the director's join: %s, %p", strerror(-rc),
		     result);
}

int main(int argc, char **argv)
{
	unsigned started = 0, threads;

	stress_begin(argc, argv,
		     "Waits that are woken, time out and are cancelled at about the same moment.");
	threads = stress_alone() ? 0 : THREADS;
	while (started < threads &&
	       pthread_create(&clerks[started].thread, NULL, clerk_main, &clerks[started]) == 0)
		started++;
	stress_check(started == threads, "not all threads could be started");
	start_hermits(threads > 0);
	if (started == threads)
		stress_direct(DIRECTORS, play);
	while (started-- > 0) {
		atomic_store_explicit(&clerks[started].end, true, memory_order_relaxed);
		pthread_join(clerks[started].thread, NULL);
	}
	end_hermits();
	return stress_end();
}
