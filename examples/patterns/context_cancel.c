/* SPDX-License-Identifier: MIT */
/*
 * Stops all that works for one request, from anywhere. The request is a scope: everything that is
 * forked or grouped in it is cancelled with it. The task itself goes on afterwards.
 *
 * Go:     ctx, cancel := context.WithCancel(ctx); go func() { <-hungUp; cancel() }(); handle(ctx)
 * tokio:  let token = CancellationToken::new(); token.child_token() (a scope within a scope)
 */
#include "../example.h"

#include <weft/weft.h>

#include <stdatomic.h>

enum { PARTS = 3 };

struct request {
	weft_scope scope;
	weft_event hung_up; /* the client has left */
	atomic_int
		stopped; /* how many parts ended because of that; read after their group's wait */
};

/* A member of the request's group, so it ends before the scope does. */
static void *watch_client(void *arg)
{
	struct request *r = arg;

	if (weft_event_wait(&r->hung_up) == 0)
		weft_scope_cancel(&r->scope);
	return NULL;
}

/* Would never end by itself. Knows nothing of the scope, and reports what its waits say. */
static void *work(void *arg)
{
	struct request *r = arg;
	int err = weft_sleep_until(WEFT_FOREVER);

	atomic_fetch_add_explicit(&r->stopped, err == -ECANCELED, memory_order_relaxed);
	return (void *)(intptr_t)err;
}

static int handle(struct request *r)
{
	weft_group group;

	weft_scope_begin(&r->scope, WEFT_FOREVER);
	weft_group_init(&group); /* belongs to the scope */
	CHECK(weft_group_spawn(&group, watch_client, r) == 0);
	for (int i = 0; i < PARTS; i++)
		CHECK(weft_group_spawn(&group, work, r) == 0);
	CHECK(weft_group_wait(&group) == -ECANCELED);
	weft_group_fini(&group);
	return weft_scope_end(&r->scope); /* 0, or why it was cut short */
}

static void *hang_up(void *event)
{
	weft_sleep(1000000);
	weft_event_set(event);
	return NULL;
}

static void *run(void *arg)
{
	struct request r = {.hung_up = WEFT_EVENT_INIT};

	CHECK(weft_spawn(hang_up, &r.hung_up, NULL) == 0);
	CHECK(handle(&r) == -ECANCELED && atomic_load(&r.stopped) == PARTS);
	CHECK(!weft_cancelled() && weft_sleep(1000) == 0); /* ready for the next request */
	printf("the client left, and all %d parts were stopped\n", PARTS);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
