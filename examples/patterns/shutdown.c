/* SPDX-License-Identifier: MIT */
/*
 * A shutdown that ends. Everything that a server runs is a task of one group, or belongs to such a
 * task. To end it the group is cancelled: all waits end, and what is submitted from then on starts
 * cancelled. The wait for the group has a deadline for those who would rather finish first.
 *
 * Go:     ctx, stop := signal.NotifyContext(...); ...; g.Wait()
 * tokio:  token.cancel(); tracker.close(); tracker.wait().await
 */
#include "../example.h"

#include <weft/weft.h>

#include <stdatomic.h>

#define MILLISECOND INT64_C(1000000)

enum { CLIENTS = 5 };

static _Atomic int served, refused;

/* Talks to a client, who says nothing for ever. Its own helpers end with it. */
static void *serve(void *arg)
{
	weft_group helpers;

	weft_group_init(&helpers);
	CHECK(weft_group_spawn(&helpers, (weft_fn *)arg, NULL) == 0);
	int err = weft_group_wait(&helpers); /* cancelled: the helpers are, too */
	weft_group_fini(&helpers);
	if (err < 0)
		refused++;
	else
		served++;
	return NULL;
}

static void *listen_for_ever(void *arg)
{
	return weft_sleep_until(WEFT_FOREVER) < 0 ? (void *)(intptr_t)-ECANCELED : arg;
}

static void *answer_at_once(void *arg)
{
	return arg;
}

int main(void)
{
	weft_runtime *rt;
	weft_group all;

	CHECK(weft_runtime_create(NULL, &rt) == 0);
	weft_group_init(&all);
	for (int i = 0; i < CLIENTS; i++) {
		CHECK(weft_group_submit(&all, rt, serve, (void *)listen_for_ever) == 0);
		CHECK(weft_group_submit(&all, rt, serve, (void *)answer_at_once) == 0);
	}

	/* Who is done within 20 ms is; the others are told to end. */
	CHECK(weft_group_wait_or_cancel_until(&all, weft_after(20 * MILLISECOND)) == -ETIMEDOUT);
	printf("served %d, cut short %d\n", served, refused);
	CHECK(served + refused == 2 * CLIENTS && refused >= CLIENTS);

	/* Who comes late is told at once. */
	CHECK(weft_group_submit(&all, rt, serve, (void *)listen_for_ever) == 0);
	CHECK(weft_group_wait(&all) == 0);
	CHECK(served + refused == 2 * CLIENTS + 1);

	weft_group_fini(&all);
	CHECK(weft_runtime_destroy(rt) == 0); /* nothing is left to wait for */
	return EXIT_SUCCESS;
}
