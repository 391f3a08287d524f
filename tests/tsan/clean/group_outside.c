/* SPDX-License-Identifier: MIT */
/*
 * A thread submits to a group that has room for one task at a time. What the thread did before comes
 * before the task, and what the task that makes room did comes before the next one starts.
 */
#include "../tsan.h"

static weft_group group;
static weft_event submitted = WEFT_EVENT_INIT;
static weft_runtime *rt;
static long sum;

static void *add(void *arg)
{
	sum += *(long *)arg;
	free(arg);
	return NULL;
}

static void *submit_all(void *arg)
{
	for (long i = 1; i <= 10; i++) {
		long *number = malloc(sizeof *number);
		*number = i;
		MUST((i % 2 ? weft_group_submit(&group, rt, add, number)
			    : weft_group_submit_until(&group, rt, add, number, WEFT_FOREVER)) == 0);
	}
	weft_event_set(&submitted);
	return arg;
}

static void *start(void *arg)
{
	rt = weft_runtime_self();
	pthread_t thread = thread_start(submit_all, NULL);
	for (long i = 1; i <= 10; i++) {
		long *number = malloc(sizeof *number);
		*number = 100 * i;
		MUST((i % 2 ? weft_group_spawn(&group, add, number)
			    : weft_group_spawn_until(&group, add, number, WEFT_FOREVER)) == 0);
	}
	/* The thread may wait for tasks of this worker. */
	MUST(weft_event_wait(&submitted) == 0);
	pthread_join(thread, NULL);
	MUST(weft_group_wait(&group) == 0);
	MUST(sum == 5555);
	return arg;
}

int main(void)
{
	weft_group_init(&group);
	weft_group_set_limit(&group, 1);
	run(start);
	weft_group_fini(&group);
	return 0;
}
