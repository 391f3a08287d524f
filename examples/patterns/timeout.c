/* SPDX-License-Identifier: MIT */
/*
 * A time limit for all that a function does. Nothing has to be handed down: in a scope each wait ends
 * at the deadline, and a group that is begun there is cancelled. Afterwards the task goes on.
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
	weft_scope scope;

	weft_scope_begin(&scope, deadline);
	int err = (int)(intptr_t)fn(arg);
	int cut = weft_scope_end(&scope);
	/* It may have been done all the same. */
	return err < 0 && cut == -ETIMEDOUT ? cut : err;
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
