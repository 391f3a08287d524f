/* SPDX-License-Identifier: MIT */
/* A crowd: tasks that all exist at once. */
#ifndef WEFT_TESTS_SCHED_CORE_CROWD_H
#define WEFT_TESTS_SCHED_CORE_CROWD_H

#include "harness.h"

#include <weft/sync.h>

#define CROWD_MAX 4000

static weft_task *crowd_tasks[CROWD_MAX];
static weft_event crowd_gate;
static weft_latch crowd_arrived;

/* A task of a crowd does this, at least in the end. */
static inline void *crowd_wait(void *arg)
{
	weft_latch_count_down(&crowd_arrived, 1);
	CHECK(weft_event_wait(&crowd_gate) == 0);
	return arg;
}

/* Spawns `count` tasks, every other one with other options, and waits until they all wait. */
static inline void crowd_gather(unsigned count, weft_fn *fn, const struct weft_task_options *even,
				const struct weft_task_options *odd)
{
	weft_event_init(&crowd_gate);
	weft_latch_init(&crowd_arrived, count);
	for (unsigned i = 0; i < count; i++)
		CHECK(weft_spawn_with(i % 2 ? odd : even, fn, NULL, &crowd_tasks[i]) == 0);
	CHECK(weft_latch_wait(&crowd_arrived) == 0);
}

/* Ends them. */
static inline void crowd_disperse(unsigned count)
{
	weft_event_set(&crowd_gate);
	for (unsigned i = 0; i < count; i++)
		CHECK(weft_join(crowd_tasks[i], NULL) == 0);
}

#endif
