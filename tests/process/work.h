/* SPDX-License-Identifier: MIT */
/* A small workload with all kinds of waits: sleeps, joins, forks, locks, deadlines, tasks and a
 * plain thread. */
#ifndef WEFT_TESTS_PROCESS_WORK_H
#define WEFT_TESTS_PROCESS_WORK_H

#include "tests/sched/core/harness.h"

#include <pthread.h>
#include <weft/sync.h>

#define WORK_SLEEP_NS 200000

struct work {
	weft_runtime *rt;
	unsigned rounds;
	weft_mutex mutex;
	weft_sem tokens;
	unsigned counted; /* under mutex */
};

static inline void work_count(struct work *work)
{
	weft_mutex_lock(&work->mutex);
	work->counted++;
	weft_mutex_unlock(&work->mutex);
}

static void *work_fork(void *work)
{
	work_count(work);
	return work;
}

/* Counts 3 and leaves a token. */
static void *work_task(void *arg)
{
	struct work *work = arg;
	int64_t until = weft_after(WORK_SLEEP_NS);
	weft_forked fork;

	weft_fork(&fork, work_fork, work);
	CHECK(weft_sleep_until(until) == 0);
	CHECK(weft_now() >= until);
	weft_yield();
	CHECK(weft_fork_join(&fork) == work);
	work_count(work);
	work_count(work);
	weft_sem_release(&work->tokens, 1);
	return work;
}

#define WORK_TASKS 8

/* Counts 3 WORK_TASKS times, in a task or on a plain thread. */
static inline void work_round(struct work *work)
{
	weft_task *tasks[WORK_TASKS];
	void *result = NULL;

	for (int i = 0; i < WORK_TASKS; i++) {
		if (!CHECK(weft_submit(work->rt, work_task, work, &tasks[i]) == 0))
			abort();
	}
	for (int i = 0; i < WORK_TASKS; i++)
		CHECK(weft_sem_acquire(&work->tokens) == 0);
	/* No token is left, now or later, so the deadline passes. */
	int64_t until = weft_after(WORK_SLEEP_NS);
	for (int i = 0; i < WORK_TASKS; i++) {
		int rc = weft_join_until(tasks[i], &result, until);
		CHECK(rc == 0 || (rc == -ETIMEDOUT && weft_now() >= until));
		if (rc != 0)
			CHECK(weft_join(tasks[i], &result) == 0);
		CHECK(result == work);
	}
}

static void *work_rounds(void *arg)
{
	struct work *work = arg;

	for (unsigned i = 0; i < work->rounds; i++)
		work_round(work);
	return work;
}

/* Runs everything: a task and two plain threads, that many rounds each. Returns whether all results
 * were right. */
static inline bool work_all(unsigned rounds)
{
	struct weft_runtime_options options = {.workers = 3};
	struct work work = {.rounds = rounds, .mutex = WEFT_MUTEX_INIT};
	weft_task *task = NULL;
	pthread_t thread;

	weft_sem_init(&work.tokens, 0);
	if (!CHECK(weft_runtime_create(&options, &work.rt) == 0) ||
	    !CHECK(weft_submit(work.rt, work_rounds, &work, &task) == 0) ||
	    !CHECK(pthread_create(&thread, NULL, work_rounds, &work) == 0))
		return false;
	work_rounds(&work);
	pthread_join(thread, NULL);
	CHECK(weft_join(task, NULL) == 0);
	CHECK(weft_sem_try_acquire(&work.tokens) == -EAGAIN);
	CHECK(weft_runtime_destroy(work.rt) == 0);
	CHECK(work.counted == 3 * WORK_TASKS * 3 * rounds);
	return checks_failed() == 0;
}

#endif
