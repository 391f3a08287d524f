/* SPDX-License-Identifier: MIT */
/*
 * Many plain threads submit tasks to several runtimes at once and join them. Handles are joined,
 * joined with deadlines that pass, detached, cancelled, and joined by a task of another runtime.
 * Each runtime counts its tasks, and every result is checked.
 */
#include "stress.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#define RUNTIMES    3
#define THREADS     8
#define BATCH_MAX   64
#define JOIN_MAX_NS 200000

enum kind { RETURN, YIELDS, SLEEPS, CHILDREN, FOREVER, ELSEWHERE, KINDS };

struct job {
	enum kind kind;
	uint64_t stream;
	weft_runtime *other;
	int outcome; /* for FOREVER: how its sleep ended; published by the join */
};

struct thread {
	pthread_t thread;
	unsigned index;
};

static weft_runtime *runtimes[RUNTIMES];
static _Atomic uint64_t detached_ends;    /* relaxed: compared after everything has ended */
static uint64_t detached_starts[THREADS]; /* each belongs to its own thread until that is joined */

static void *yielder(void *arg)
{
	for (uintptr_t i = (uintptr_t)arg % 5; i > 0; i--)
		weft_yield();
	return arg;
}

/* Joins an accepted task and checks its result. */
static void join(weft_task *task, const void *expected)
{
	void *result = NULL;
	int rc = weft_join(task, &result);

	stress_check(rc == 0, "weft_join: %s", strerror(-rc));
	stress_check(result == expected, "a task's result is %p, not %p", result, expected);
}

static void children(struct weft__random *random)
{
	weft_task *tasks[8];
	unsigned n = 0;

	while (n < 8 && weft_spawn(yielder, (void *)(uintptr_t)n, &tasks[n]) == 0)
		n++;
	if (stress_one_in(random, 2))
		weft_yield();
	while (n-- > 0)
		join(tasks[n], (void *)(uintptr_t)n);
}

static void elsewhere(struct job *job)
{
	weft_task *task;
	int rc = weft_submit(job->other, yielder, job, &task);

	stress_check(rc == 0 || rc == -ENOMEM, "weft_submit from a task: %s", strerror(-rc));
	if (rc == 0)
		join(task, job);
}

static void *work(void *arg)
{
	struct job *job = arg;
	struct weft__random random;

	weft__random_seed(&random, job->stream);
	switch (job->kind) {
	case YIELDS:
		yielder((void *)(uintptr_t)weft__random_below(&random, 5));
		break;
	case SLEEPS:
		weft_sleep(1 + weft__random_below(&random, JOIN_MAX_NS));
		break;
	case CHILDREN:
		children(&random);
		break;
	case FOREVER:
		job->outcome = weft_sleep_until(WEFT_FOREVER);
		break;
	case ELSEWHERE:
		elsewhere(job);
		break;
	default:
		break;
	}
	stress_did(1);
	return arg;
}

static void *detached(void *arg)
{
	yielder(arg);
	atomic_fetch_add_explicit(&detached_ends, 1, memory_order_relaxed);
	stress_did(1);
	return NULL;
}

static void join_with_deadlines(struct weft__random *random, weft_task *task, const struct job *job)
{
	void *result = NULL;
	int rc;

	do {
		int64_t deadline = stress_one_in(random, 4)
					   ? 0
					   : weft_after(weft__random_below(random, JOIN_MAX_NS));
		rc = weft_join_until(task, &result, deadline);
		stress_check(rc != -ETIMEDOUT || weft_now() >= deadline,
			     "a join gave up before its deadline");
		stress_check(rc != -ETIMEDOUT || !result, "a join that gave up has a result");
	} while (rc == -ETIMEDOUT);
	stress_check(rc == 0, "weft_join_until: %s", strerror(-rc));
	stress_check(result == job, "a task's result is %p, not %p", result, (const void *)job);
}

static void finish(struct weft__random *random, weft_task *task, struct job *job)
{
	bool cancelled = job->kind == FOREVER || stress_one_in(random, 8);

	/* A cancelled job must not give up its own joins, because their handles would be lost. */
	if (cancelled && (job->kind == CHILDREN || job->kind == ELSEWHERE))
		cancelled = false;
	if (cancelled) {
		int rc = weft_cancel(task);
		stress_check(rc == 0, "weft_cancel: %s", strerror(-rc));
	}
	if (stress_one_in(random, 2))
		join_with_deadlines(random, task, job);
	else
		join(task, job);
	stress_check(job->kind != FOREVER || job->outcome == -ECANCELED,
		     "a sleep without end has returned %d", job->outcome);
}

static void batch(struct thread *self, struct weft__random *random)
{
	struct job jobs[BATCH_MAX];
	weft_task *tasks[BATCH_MAX];
	unsigned order[BATCH_MAX];
	/* Fewer if tasks are slow: a batch is finished even when the time is up. */
	unsigned n = 1 + weft__random_below(random, weft_test_scale(BATCH_MAX)), started = 0;

	while (started < n) {
		weft_runtime *rt = runtimes[weft__random_below(random, RUNTIMES)];
		if (stress_one_in(random, 8)) {
			bool later = stress_one_in(random, 2);
			weft_task *task;
			if (weft_submit(rt, detached, (void *)(uintptr_t)started,
					later ? &task : NULL) == 0) {
				detached_starts[self->index]++;
				int rc = later ? weft_detach(task) : 0;
				stress_check(rc == 0, "weft_detach: %s", strerror(-rc));
			}
		}
		struct job *job = &jobs[started];
		*job = (struct job){.kind = (enum kind)weft__random_below(random, KINDS),
				    .stream = weft__random_next(random),
				    .other = runtimes[weft__random_below(random, RUNTIMES)]};
		int rc = weft_submit(rt, work, job, &tasks[started]);
		if (rc < 0) {
			stress_check(rc == -ENOMEM, "weft_submit: %s", strerror(-rc));
			break;
		}
		started++;
	}
	/* Joined in a random order. */
	for (unsigned i = 0; i < started; i++) {
		unsigned j = weft__random_below(random, i + 1);
		order[i] = order[j];
		order[j] = i;
	}
	for (unsigned i = 0; i < started; i++)
		finish(random, tasks[order[i]], &jobs[order[i]]);
}

static void *submitter(void *arg)
{
	struct thread *self = arg;
	struct weft__random random;

	stress_random(&random, self->index);
	while (!stress_over())
		batch(self, &random);
	return NULL;
}

static void storm(void)
{
	struct thread threads[THREADS];
	uint64_t expected = 0;
	unsigned started = 0;

	while (started < THREADS) {
		threads[started].index = started;
		int err = pthread_create(&threads[started].thread, NULL, submitter,
					 &threads[started]);
		stress_check(!err, "pthread_create: %s", strerror(err));
		if (err)
			break;
		started++;
	}
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i].thread, NULL);
	for (unsigned i = 0; i < RUNTIMES; i++)
		stress_await_completed(runtimes[i], 0);
	for (unsigned i = 0; i < THREADS; i++)
		expected += detached_starts[i];
	uint64_t ends = atomic_load_explicit(&detached_ends, memory_order_relaxed);
	stress_check(ends == expected, "%llu detached tasks have ended, %llu were started",
		     (unsigned long long)ends, (unsigned long long)expected);
}

int main(int argc, char **argv)
{
	unsigned created = 0;

	stress_begin(argc, argv,
		     "Plain threads that submit to several runtimes, join, detach and cancel.");
	while (created < RUNTIMES) {
		int rc = weft_runtime_create(NULL, &runtimes[created]);
		stress_check(rc == 0, "weft_runtime_create: %s", strerror(-rc));
		if (rc < 0)
			break;
		stress_watch(runtimes[created++]);
	}
	if (created == RUNTIMES)
		storm();
	while (created-- > 0)
		stress_destroy(runtimes[created]);
	return stress_end();
}
