/* SPDX-License-Identifier: MIT */
/*
 * A time limit for all that a task does. Nothing has to be handed down: the task is cancelled, each
 * of its waits ends, and a group of it is cancelled in turn.
 *
 * Go:     ctx, cancel := context.WithTimeout(ctx, d); defer cancel(); query(ctx)
 * tokio:  timeout(d, query()).await
 */
#include "../example.h"

#include <weft/weft.h>

#include <string.h>

#define MILLISECOND INT64_C(1000000)

/* Waits for an answer: one that is there, or one that never comes. */
static void *ask(void *arg)
{
	weft_event *answer = arg;

	return (void *)(intptr_t)weft_event_wait(answer);
}

/* Asks twice at once. Knows of no timeout, but reports what its waits say. */
static void *query(void *arg)
{
	weft_group both;
	int err = 0;

	weft_group_init(&both);
	for (int i = 0; i < 2 && err == 0; i++)
		err = weft_group_spawn(&both, ask, arg);
	if (err < 0)
		weft_group_cancel(&both);
	int failed = weft_group_wait(&both);
	weft_group_fini(&both);
	return (void *)(intptr_t)(err ? err : failed);
}

/* fn(arg), but not after the deadline: 0, what it failed with, or -ETIMEDOUT. */
static int with_deadline(weft_fn *fn, void *arg, int64_t deadline)
{
	void *result = NULL;
	weft_task *task;
	int err = weft_spawn(fn, arg, &task);

	if (err < 0)
		return err;
	err = weft_join_until(task, &result, deadline);
	if (err == 0)
		return (int)(intptr_t)result;
	weft_cancel(task);
	weft_cancel_mask(); /* the task uses arg: we stay until it has ended, cancelled or not */
	CHECK(weft_join(task, &result) == 0);
	weft_cancel_unmask();
	/* It may have been faster than the request to stop. */
	return result ? err : 0;
}

static void *run(void *arg)
{
	weft_event there, never;
	int err;

	weft_event_init(&there);
	weft_event_init(&never);
	weft_event_set(&there);
	CHECK(with_deadline(query, &there, WEFT_FOREVER) == 0);
	err = with_deadline(query, &never, weft_after(20 * MILLISECOND));
	printf("the one that is not: %s\n", strerror(-err));
	CHECK(err == -ETIMEDOUT);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
