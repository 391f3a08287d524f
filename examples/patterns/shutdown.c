/* SPDX-License-Identifier: MIT */
/*
 * A shutdown that ends. Everything that a server runs is a task of one group, or belongs to such a
 * task. Requests have some time to finish. Then the group is cancelled: all waits end, and tasks
 * that are submitted later start cancelled.
 *
 * Go:     server.Shutdown(ctx), with context.WithTimeout
 * tokio:  timeout(d, tracker.wait()).await; token.cancel(); tracker.wait().await
 */
#include "../example.h"

#include <weft/weft.h>

#include <stdatomic.h>

#define MILLISECOND INT64_C(1000000)

enum { CLIENTS = 5 };

static atomic_int served, cut_short;

/* Serves one client, by a helper, which is cancelled with it. */
static void *serve(void *arg)
{
	weft_group helpers;

	weft_group_init(&helpers);
	CHECK(weft_group_spawn(&helpers, (weft_fn *)arg, NULL) == 0);
	int err = weft_group_wait(&helpers);
	weft_group_fini(&helpers);
	atomic_fetch_add(err < 0 ? &cut_short : &served, 1);
	return NULL;
}

static void *listen_for_ever(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)weft_sleep_until(WEFT_FOREVER);
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

	/* Clients have 20 ms to be done. */
	CHECK(weft_group_wait_or_cancel_until(&all, weft_after(20 * MILLISECOND)) == -ETIMEDOUT);
	printf("%d clients served or cut short\n", served + cut_short);
	CHECK(served + cut_short == 2 * CLIENTS && cut_short >= CLIENTS);

	/* A client that comes later is cut short at once. */
	CHECK(weft_group_submit(&all, rt, serve, (void *)listen_for_ever) == 0);
	CHECK(weft_group_wait(&all) == 0);
	CHECK(served + cut_short == 2 * CLIENTS + 1);

	weft_group_fini(&all);
	CHECK(weft_runtime_destroy(rt) == 0); /* nothing is left to wait for */
	return EXIT_SUCCESS;
}
