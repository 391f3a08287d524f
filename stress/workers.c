/* SPDX-License-Identifier: MIT */
/*
 * Workers come and go at random. Tasks and plain threads ask for it, while tasks are spawned,
 * forked, joined, submitted, pinned, and sleep. Nothing may be lost when a worker leaves. Each
 * round waits for everything that it has started. It then checks that the runtime has the number of
 * workers that was last asked for.
 *
 * Rounds alternate between a runtime that plain threads own and weft_run(), where worker 0 is an
 * existing thread.
 */
#include "stress.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define WORKERS_MAX  12
#define ACTORS       24
#define ACTS         60
#define CHANGERS     2
#define SUBMITTERS   2
#define CHANGES      30
#define SUBMISSIONS  200
#define PAUSE_MAX_NS 200000
#define CROWD        40
#define FORK_DEPTH   6

struct plain {
	pthread_t thread;
	weft_runtime *rt;
	uint64_t stream;
};

static _Atomic uint64_t streams; /* relaxed: the values only need to differ */

static void own_random(struct weft__random *ret)
{
	stress_random(ret, atomic_fetch_add_explicit(&streams, 1, memory_order_relaxed));
}

static void pause_a_little(struct weft__random *random)
{
	weft_sleep(1 + weft__random_below(random, PAUSE_MAX_NS));
}

static void change(struct weft__random *random, weft_runtime *rt)
{
	unsigned n = 1 + weft__random_below(random, WORKERS_MAX);
	int rc = weft_runtime_set_workers(rt, n);

	stress_check(rc == 0 || rc == -EAGAIN, "weft_runtime_set_workers(%u): %s", n,
		     strerror(-rc));
	stress_did(1);
}

static void *yielder(void *arg)
{
	for (uintptr_t i = 0; i < (uintptr_t)arg; i++)
		weft_yield();
	stress_did(1);
	return arg;
}

static void join(weft_task *task, uintptr_t expected)
{
	void *result = NULL;
	int rc = weft_join(task, &result);

	stress_check(rc == 0, "weft_join: %s", strerror(-rc));
	stress_check((uintptr_t)result == expected, "a task's result is %p, not %#lx", result,
		     (unsigned long)expected);
}

static void crowd(struct weft__random *random)
{
	weft_task *tasks[CROWD];
	uintptr_t yields[CROWD];
	unsigned n = 0;

	while (n < CROWD) {
		yields[n] = weft__random_below(random, 8);
		if (weft_spawn(yielder, (void *)yields[n], &tasks[n]) < 0)
			break;
		n++;
	}
	while (n-- > 0)
		join(tasks[n], yields[n]);
}

static void *forks(void *arg)
{
	uintptr_t depth = (uintptr_t)arg;
	weft_forked fork;

	if (depth == 0)
		return (void *)1;
	weft_fork(&fork, forks, (void *)(depth - 1));
	if (depth % 3 == 0)
		weft_yield();
	uintptr_t sum = (uintptr_t)forks((void *)(depth - 1));
	return (void *)(sum + (uintptr_t)weft_fork_join(&fork));
}

/* Stays on its thread, even if that thread is told to leave. */
static void *pinned(void *arg)
{
	uintptr_t rest = (uintptr_t)arg;
	pid_t thread = gettid();
	int worker = weft_worker_id();

	for (uintptr_t i = 0; i < rest; i++) {
		if (i % 3 == 2)
			weft_sleep(20000);
		else
			weft_yield();
		stress_check(gettid() == thread && weft_worker_id() == worker,
			     "a task pinned to worker %d, thread %d, is on worker %d, thread %d",
			     worker, (int)thread, weft_worker_id(), (int)gettid());
	}
	stress_did(1);
	return arg;
}

static void pin(struct weft__random *random)
{
	struct weft_task_options opt = {.pinned = true};
	uintptr_t rest = weft__random_below(random, 10);
	weft_task *task;

	if (weft_spawn_with(&opt, pinned, (void *)rest, &task) == 0)
		join(task, rest);
}

static void act(struct weft__random *random)
{
	int64_t deadline;
	uintptr_t sum;

	switch (weft__random_below(random, 8)) {
	case 0:
		crowd(random);
		break;
	case 1:
		sum = (uintptr_t)forks((void *)FORK_DEPTH);
		stress_check(sum == 1u << FORK_DEPTH, "%lu leaves of %u", (unsigned long)sum,
			     1u << FORK_DEPTH);
		break;
	case 2:
		pin(random);
		break;
	case 3:
		deadline = weft_after(weft__random_below(random, PAUSE_MAX_NS));
		weft_sleep_until(deadline);
		stress_check(weft_now() >= deadline, "a sleep ended before its deadline");
		break;
	case 4:
		if (stress_one_in(random, 4))
			change(random, NULL);
		break;
	case 5:
		if (weft_spawn(yielder, (void *)(uintptr_t)3, NULL) < 0)
			weft_yield();
		break;
	default:
		weft_yield();
		break;
	}
	stress_did(1);
}

static void *actor(void *unused)
{
	struct weft__random random;

	own_random(&random);
	for (unsigned i = 0; i < ACTS && !stress_over(); i++)
		act(&random);
	return unused;
}

static void *changer(void *arg)
{
	struct plain *plain = arg;
	struct weft__random random;

	stress_random(&random, plain->stream);
	for (unsigned i = 0; i < CHANGES && !stress_over(); i++) {
		change(&random, plain->rt);
		if (!stress_one_in(&random, 3))
			pause_a_little(&random);
	}
	return NULL;
}

static void *submitter(void *arg)
{
	struct plain *plain = arg;
	struct weft__random random;

	stress_random(&random, plain->stream);
	for (unsigned i = 0; i < SUBMISSIONS && !stress_over(); i++) {
		uintptr_t yields = weft__random_below(&random, 4);
		weft_task *task;
		if (weft_submit(plain->rt, yielder, (void *)yields, &task) == 0)
			join(task, yields);
	}
	return NULL;
}

static unsigned start_threads(struct plain *plain, weft_runtime *rt)
{
	for (unsigned i = 0; i < CHANGERS + SUBMITTERS; i++) {
		plain[i].rt = rt;
		plain[i].stream = atomic_fetch_add_explicit(&streams, 1, memory_order_relaxed);
		if (pthread_create(&plain[i].thread, NULL, i < CHANGERS ? changer : submitter,
				   &plain[i]) != 0)
			return i;
	}
	return CHANGERS + SUBMITTERS;
}

static void check_count(weft_runtime *rt)
{
	struct weft__random random;

	own_random(&random);
	unsigned n = 1 + weft__random_below(&random, WORKERS_MAX);
	int rc = weft_runtime_set_workers(rt, n);
	stress_check(rc == -EAGAIN || weft_runtime_workers(rt) == n, "%u workers, told to have %u",
		     weft_runtime_workers(rt), n);
}

static void own_round(void)
{
	struct plain plain[CHANGERS + SUBMITTERS];
	weft_task *actors[ACTORS];
	weft_runtime *rt;
	unsigned started = 0;
	int rc = weft_runtime_create(NULL, &rt);

	stress_check(rc == 0, "weft_runtime_create: %s", strerror(-rc));
	if (rc < 0)
		return;
	stress_watch(rt);
	unsigned threads = start_threads(plain, rt);
	while (started < ACTORS &&
	       weft_submit(rt, actor, (void *)(uintptr_t)started, &actors[started]) == 0)
		started++;
	while (started-- > 0)
		join(actors[started], started);
	while (threads-- > 0)
		pthread_join(plain[threads].thread, NULL);
	check_count(rt);
	stress_await_completed(rt, 0);
	stress_destroy(rt);
}

static void *borrowed_main(void *unused)
{
	weft_task *actors[ACTORS];
	unsigned started = 0;

	while (started < ACTORS &&
	       weft_spawn(actor, (void *)(uintptr_t)started, &actors[started]) == 0)
		started++;
	while (started-- > 0)
		join(actors[started], started);
	check_count(NULL);
	return unused;
}

int main(int argc, char **argv)
{
	stress_begin(argc, argv,
		     "Workers that come and go while tasks of all kinds run; nothing may be lost.");
	while (!stress_over()) {
		own_round();
		stress_run(borrowed_main, NULL);
	}
	return stress_end();
}
