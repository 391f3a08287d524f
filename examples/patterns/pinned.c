/* SPDX-License-Identifier: MIT */
/*
 * A task that stays on the thread where it began, for libraries that keep state in thread-local
 * variables. While it waits, other tasks still run on that thread.
 *
 * Go:     runtime.LockOSThread()
 * tokio:  LocalSet, spawn_local()
 */
#include "../example.h"

#include <weft/weft.h>

#include <pthread.h>

enum { TASKS = 20, ROUNDS = 50 };

static void *stay(void *arg)
{
	pthread_t thread = pthread_self();
	int worker = weft_worker_id();

	for (int i = 0; i < ROUNDS; i++) {
		if (i % 10 == 0)
			weft_sleep(1000);
		weft_yield();
		CHECK(weft_worker_id() == worker);
		CHECK(pthread_equal(pthread_self(), thread));
	}
	return arg;
}

static void *run(void *arg)
{
	struct weft_task_options options = {.name = "stays", .pinned = true};
	weft_task *tasks[TASKS];

	for (int i = 0; i < TASKS; i++)
		CHECK(weft_spawn_with(&options, stay, NULL, &tasks[i]) == 0);
	for (int i = 0; i < TASKS; i++)
		CHECK(weft_join(tasks[i], NULL) == 0);
	printf("%d tasks stayed where they were\n", TASKS);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
