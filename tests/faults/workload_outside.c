/* SPDX-License-Identifier: MIT */
/*
 * Workloads between runtimes and the threads outside of them: blocking calls, and tasks that plain
 * threads and other runtimes add to a group.
 */
#include "workload.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#define SHORTLY ((int64_t)200000)

/* relaxed: read after all who count have been waited for. */
static void count_up(_Atomic unsigned *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static unsigned count_of(_Atomic unsigned *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* --- blocking: with more callers than threads, and with a thread for each
 * ----------------------------------------- */

#define CALLERS 6

struct calls {
	_Atomic unsigned begun, succeeded;
};

static void *block(void *arg)
{
	struct calls *c = arg;

	count_up(&c->begun);
	/* Where no thread could be started this is a task, and perhaps one that is cancelled. */
	weft_sleep(SHORTLY / 4);
	return c;
}

/* No shortage is reported: if there is no thread and none can be started, the worker makes the
 * call. */
static void *make_calls(void *arg)
{
	struct calls *c = arg;
	void *result = UNTOUCHED;

	errno_mark();
	MUST(weft_blocking(block, c, &result) == 0);
	MUST(result == c);
	count_up(&c->succeeded);
	for (int64_t late = 0; late < 3; late++) {
		int64_t deadline = weft_after(late * SHORTLY / 4);
		result = UNTOUCHED;
		int rc = weft_blocking_until(block, c, &result, deadline);
		MUST(rc == 0 || rc == -ETIMEDOUT);
		MUST(result == (rc == 0 ? (void *)c : UNTOUCHED));
		if (rc == 0)
			count_up(&c->succeeded);
		else
			MUST(weft_now() >= deadline);
	}
	return arg;
}

static void *be_cancelled(void *arg)
{
	struct calls *c = arg;
	void *result = UNTOUCHED;
	int rc = weft_blocking_until(block, c, &result, WEFT_FOREVER);

	MUST(rc == 0 || rc == -ECANCELED);
	MUST(result == (rc == 0 ? (void *)c : UNTOUCHED));
	if (rc == 0)
		count_up(&c->succeeded);
	return arg;
}

static void *blocking_main(void *arg)
{
	weft_task *tasks[CALLERS];

	for (int i = 0; i < CALLERS; i++)
		CALL_FOR(tasks[i], MAY_LACK_MEMORY,
			 weft_spawn(i % 3 == 2 ? be_cancelled : make_calls, arg, &tasks[i]));
	MUST(weft_sleep(SHORTLY / 4) == 0);
	for (int i = 2; i < CALLERS; i += 3)
		MUST(weft_cancel(tasks[i]) == 0);
	for (int i = 0; i < CALLERS; i++)
		MUST(weft_join(tasks[i], NULL) == 0);
	return arg;
}

static void run_calls(const char *threads)
{
	struct calls c;

	atomic_init(&c.begun, 0);
	atomic_init(&c.succeeded, 0);
	setenv("WEFT_BLOCKING_THREADS", threads, 1);
	CALL(MAY_LACK_MEMORY | MAY_LACK_THREADS, weft_run(blocking_main, &c, NULL));
	/* A call that fails does not run its function, and one that succeeds runs it once. */
	MUST(count_of(&c.begun) == count_of(&c.succeeded));
	unsetenv("WEFT_BLOCKING_THREADS");
}

void workload_blocking(void)
{
	run_calls("1");
	run_calls("8");
}

/* --- outside: a thread and two runtimes add to one group that has a limit
 * ------------------------------------------ */

#define ADDED 8 /* by each */

struct club {
	weft_group group;
	weft_runtime *here, *there;
	_Atomic unsigned ran;
};

static void *be_member(void *arg)
{
	struct club *club = arg;

	MUST(weft_runtime_self() == club->here || weft_runtime_self() == club->there);
	MUST(weft_sleep(SHORTLY / 8) == 0);
	count_up(&club->ran);
	return arg;
}

/* A call that lacks memory gives its place in the group to the next one in line. */
static void *add_members(void *arg)
{
	static const struct weft_task_options named = {.name = "named"};
	static const struct weft_task_options large = {.stack_size = 512 << 10};
	struct club *club = arg;
	weft_group *g = &club->group;

	for (int i = 0; i < ADDED; i++) {
		weft_runtime *rt = i % 2 ? club->here : club->there;
		const struct weft_task_options *opt = i % 3 ? &named : &large;
		if (i % 4 == 0) {
			CALL(MAY_LACK_MEMORY, weft_group_submit(g, rt, be_member, club));
		} else if (i % 4 == 1) {
			CALL(MAY_LACK_MEMORY,
			     weft_group_submit_until(g, rt, be_member, club, WEFT_FOREVER));
		} else {
			CALL(MAY_LACK_MEMORY, weft_group_submit_with(g, rt, opt, be_member, club));
		}
	}
	return arg;
}

/* A task that may not wait for a place tries again later. */
static void *try_to_add(void *arg)
{
	struct club *club = arg;

	for (int added = 0; added < ADDED;) {
		errno_mark();
		int rc = added % 2 ? weft_group_try_spawn(&club->group, be_member, club)
				   : weft_group_spawn_until(&club->group, be_member, club,
							    weft_after(SHORTLY));
		if (rc == (added % 2 ? -EAGAIN : -ETIMEDOUT))
			weft_sleep(SHORTLY / 4);
		else if (!refused_at(rc, MAY_LACK_MEMORY, 0, "a spawn with a limit", __FILE__,
				     __LINE__))
			added++;
	}
	return arg;
}

static void *outside_main(void *arg)
{
	struct club *club = arg;
	struct weft_stats stats;
	weft_task *task;

	club->here = weft_runtime_self();
	CALL_FOR(task, MAY_LACK_MEMORY, weft_submit(club->there, try_to_add, club, &task));
	pthread_t thread;
	if (!MUST(pthread_create(&thread, NULL, add_members, club) == 0))
		exit(1);
	add_members(club);
	MUST(weft_trim() == 0);
	MUST(weft_join(task, NULL) == 0);
	/* The runtime must live until the thread is done with it. */
	pthread_join(thread, NULL);
	MUST(weft_group_wait(&club->group) == 0);
	MUST(weft_runtime_stats(NULL, &stats) == 0 && stats.live >= 1);
	return arg;
}

void workload_outside(void)
{
	static const struct weft_runtime_options options = {.workers = 2};
	struct club club = {.here = NULL};
	void *result = UNTOUCHED;

	weft_group_init(&club.group);
	weft_group_set_limit(&club.group, 3);
	CALL_FOR(club.there, MAY_LACK_MEMORY | MAY_LACK_THREADS,
		 weft_runtime_create(&options, &club.there));
	for (unsigned tries = 0;; tries++) {
		result = UNTOUCHED;
		errno_mark();
		int rc = weft_run_with(&options, outside_main, &club, &result);
		if (!refused_at(rc, MAY_LACK_MEMORY | MAY_LACK_THREADS, tries, "weft_run_with",
				__FILE__, __LINE__))
			break;
		MUST(result == UNTOUCHED);
	}
	MUST(result == &club);
	MUST(count_of(&club.ran) == 3 * ADDED);
	weft_group_fini(&club.group);
	MUST(weft_runtime_destroy(club.there) == 0);
}
