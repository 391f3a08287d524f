/* SPDX-License-Identifier: MIT */
/* The library that unload.c loads. It uses Weft inside, and is linked with it in one way or the
 * other. */
#include <weft/weft.h>

#include <stddef.h>

#define TASKS 300

__attribute__((visibility("default"))) long plugin_run(void);

static weft_mutex mutex = WEFT_MUTEX_INIT;
static long counted;

static void *count(void *arg)
{
	weft_mutex_lock(&mutex);
	counted++;
	weft_mutex_unlock(&mutex);
	weft_yield();
	return arg;
}

static void *generate(void *arg)
{
	weft_coro_yield(arg);
	return arg;
}

static void *start(void *arg)
{
	weft_group group;
	weft_coro *co;
	int failed = 0;

	weft_group_init(&group);
	for (int i = 0; i < TASKS; i++)
		failed |= weft_group_spawn(&group, count, NULL) < 0;
	if (failed || weft_group_wait(&group) < 0 || weft_blocking(count, NULL, NULL) < 0)
		counted = -1;
	if (weft_coro_create(generate, 0, &co) == 0) {
		weft_coro_enter(co, NULL, NULL);
		weft_coro_destroy(co);
	}
	return arg;
}

/* The number of calls of count(), or -1. */
long plugin_run(void)
{
	counted = 0;
	return weft_run(start, NULL, NULL) < 0 ? -1 : counted;
}
