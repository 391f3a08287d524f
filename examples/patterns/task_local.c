/* SPDX-License-Identifier: MIT */
/*
 * Values that belong to a task. Code deep below can read them without an argument that is handed
 * down. A new task begins without values, so the task that spawns it passes on what it should know.
 *
 * Go:     ctx = context.WithValue(ctx, key, "GET /"); ctx.Value(key)
 * tokio:  task_local! { static REQUEST: String; }  REQUEST.scope(name, serve()).await; REQUEST.with(...)
 */
#include "../example.h"

#include <weft/weft.h>

#include <stdatomic.h>
#include <string.h>

enum { REQUESTS = 20 };

static weft_local request;
static atomic_int freed;

static void free_request(void *name)
{
	free(name);
	/* relaxed: read after weft_run(), which orders. */
	atomic_fetch_add_explicit(&freed, 1, memory_order_relaxed);
}

/* Deep below: knows the request by itself. */
static void check_request(int number)
{
	char expected[32];

	snprintf(expected, sizeof(expected), "GET /%d", number);
	CHECK(strcmp(weft_local_get(request), expected) == 0);
}

static void *serve(void *arg)
{
	int number = (int)(intptr_t)arg;
	char *name = malloc(32);

	CHECK(name != NULL);
	snprintf(name, 32, "GET /%d", number);
	CHECK(weft_local_get(request) == NULL);
	CHECK(weft_local_set(request, name) == 0); /* freed at the end of the task */
	for (int i = 0; i < 10; i++) {
		check_request(number);
		weft_yield(); /* perhaps another thread from here on; the value comes along */
	}
	return NULL;
}

static void *run(void *arg)
{
	CHECK(weft_local_create(free_request, &request) == 0);
	for (intptr_t i = 0; i < REQUESTS; i++)
		CHECK(weft_spawn(serve, (void *)i, NULL) == 0);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	int count = atomic_load_explicit(&freed, memory_order_relaxed);
	printf("%d requests served\n", count);
	CHECK(count == REQUESTS);
	return EXIT_SUCCESS;
}
