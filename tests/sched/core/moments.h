/* SPDX-License-Identifier: MIT */
/* Cancellation at every moment of a task's life: two threads submit tasks and cancel them soon. */
#ifndef WEFT_TESTS_SCHED_CORE_MOMENTS_H
#define WEFT_TESTS_SCHED_CORE_MOMENTS_H

#include "harness.h"

#include <pthread.h>

#define MOMENT_TASKS 4

struct moments {
	weft_runtime *rt;
	weft_fn *fn; /* of the tasks; its argument is 3, which may be how deep they go */
	unsigned rounds;
	unsigned cancel_every; /* such rounds cancel; in the others the tasks end by themselves */
};

static inline void *moments_cancel_soon(void *arg)
{
	const struct moments *m = arg;

	for (unsigned round = 0; round < m->rounds; round++) {
		weft_task *tasks[MOMENT_TASKS];

		for (unsigned i = 0; i < MOMENT_TASKS; i++)
			if (!CHECK(weft_submit(m->rt, m->fn, (void *)3, &tasks[i]) == 0))
				return NULL;
		for (unsigned i = 0; i < MOMENT_TASKS; i++) {
			if (round % 4 > 0)
				weft_sleep(round % 4 * 7000);
			if (round % m->cancel_every == 0)
				CHECK(weft_cancel(tasks[i]) == 0);
		}
		for (unsigned i = 0; i < MOMENT_TASKS; i++)
			CHECK(weft_join(tasks[i], NULL) == 0);
	}
	return NULL;
}

/* Asserts that all tasks end, with one to three workers. */
static inline void assert_they_end_at_every_moment(weft_fn *fn, unsigned rounds,
						   unsigned cancel_every)
{
	for (unsigned workers = 1; workers <= 3; workers++) {
		struct moments m = {assert_create(workers), fn, rounds, cancel_every};
		pthread_t threads[2];

		for (unsigned i = 0; i < 2; i++)
			assert_int_equal(pthread_create(&threads[i], NULL, moments_cancel_soon, &m),
					 0);
		for (unsigned i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(weft_runtime_destroy(m.rt), 0);
		assert_int_equal(checks_failed(), 0);
	}
}

#endif
