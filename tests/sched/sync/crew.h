/* SPDX-License-Identifier: MIT */
/*
 * What the tests of sync.h share: a crew of tasks, of plain threads or of both, which all do the
 * same. It builds on the scheduler's harness, so only the main thread asserts.
 */
#ifndef WEFT_TESTS_SCHED_SYNC_CREW_H
#define WEFT_TESTS_SCHED_SYNC_CREW_H

#include "tests/sched/core/harness.h"

#include <pthread.h>

#define CREW_MAX 32

/* What each member of the crew does. who: 0 to the crew's size - 1; threads come last. */
typedef void crew_act(void *arg, unsigned who);

struct crew_member {
	crew_act *act;
	void *arg;
	unsigned who;
	weft_task *task;
	pthread_t thread;
};

static inline void *crew_main(void *arg)
{
	struct crew_member *member = arg;

	member->act(member->arg, member->who);
	return NULL;
}

/* Lets this many tasks, on this many workers, and this many threads act. Only the calling thread
 * asserts. */
static inline void assert_crew(unsigned workers, unsigned tasks, unsigned threads, crew_act *act,
			       void *arg)
{
	struct crew_member crew[CREW_MAX];
	weft_runtime *rt = assert_create(workers);

	assert_true(tasks + threads <= CREW_MAX);
	for (unsigned i = 0; i < tasks + threads; i++) {
		crew[i] = (struct crew_member){.act = act, .arg = arg, .who = i};
		if (i < tasks)
			assert_int_equal(weft_submit(rt, crew_main, &crew[i], &crew[i].task), 0);
		else
			assert_int_equal(pthread_create(&crew[i].thread, NULL, crew_main, &crew[i]),
					 0);
	}
	for (unsigned i = 0; i < tasks + threads; i++) {
		if (i < tasks)
			assert_int_equal(weft_join(crew[i].task, NULL), 0);
		else
			pthread_join(crew[i].thread, NULL);
	}
	assert_int_equal(weft_runtime_destroy(rt), 0);
	assert_int_equal(checks_failed(), 0);
}

/* Tasks on one worker, tasks on several workers, threads, and tasks with threads. */
static inline void assert_crews(crew_act *act, void (*reset)(void *arg), void *arg)
{
	static const unsigned crews[][3] = {{1, 8, 0}, {4, 8, 0}, {1, 0, 8}, {2, 4, 4}};

	for (size_t i = 0; i < sizeof(crews) / sizeof(crews[0]); i++) {
		if (reset)
			reset(arg);
		assert_crew(crews[i][0], crews[i][1], crews[i][2], act, arg);
	}
}
#define CREWS_SIZE 8

/* The time by which something that must happen has happened, or never will. */
static inline int64_t lost(void)
{
	return weft_after(LOST_NS);
}

#endif
