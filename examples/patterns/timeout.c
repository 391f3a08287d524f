/* SPDX-License-Identifier: MIT */
/*
 * A time limit for everything that a function does. Nothing has to be handed down. In a scope each
 * wait ends at the deadline, and a group that is begun there is cancelled. Afterwards the task goes
 * on. (after.c has a deadline for a single wait.)
 *
 * Go:     ctx, cancel := context.WithTimeout(ctx, d); defer cancel(); query(ctx)
 * tokio:  timeout(d, query()).await
 */
#include "../example.h"

#include <weft/weft.h>

#include <string.h>

/* Waits for an answer: one that is there, or one that never comes. */
static void *ask(void *answer)
{
	return (void *)(intptr_t)weft_event_wait(answer);
}

/* Asks twice at once. Knows of no timeout, but reports what its waits say. */
static int query(weft_event *answer)
{
	weft_group both;

	weft_group_init(&both);
	for (int i = 0; i < 2; i++)
		CHECK(weft_group_spawn(&both, ask, answer) == 0);
	int err = weft_group_wait(&both);
	weft_group_fini(&both);
	return err;
}

/* 0, the error of the query, or -ETIMEDOUT. */
static int query_until(weft_event *answer, int64_t deadline)
{
	weft_scope scope;

	weft_scope_begin(&scope, deadline);
	int err = query(answer);
	int why = weft_scope_end(&scope);
	return err < 0 && why < 0 ? why : err; /* it may be done though the deadline has passed */
}

static void *run(void *arg)
{
	weft_event there, never;

	weft_event_init(&there);
	weft_event_init(&never);
	weft_event_set(&there);
	CHECK(query_until(&there, WEFT_FOREVER) == 0);

	int64_t deadline = weft_after(20000000);
	int err = query_until(&never, deadline);
	printf("the one without an answer: %s\n", strerror(-err));
	CHECK(err == -ETIMEDOUT && weft_now() >= deadline);
	CHECK(weft_sleep(1000) == 0); /* outside of the scope */
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
