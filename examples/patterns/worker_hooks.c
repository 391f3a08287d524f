/* SPDX-License-Identifier: MIT */
/*
 * Something that each worker's thread needs once, such as a library's state for a thread. Code that
 * uses it takes its address anew after each call that may suspend.
 *
 * Go:     has none (runtime.LockOSThread in a goroutine for each thread)
 * tokio:  Builder::on_thread_start(...), on_thread_stop(...), on_thread_park(...)
 */
#include "../example.h"

#include <weft/weft.h>

#include <stdatomic.h>

enum { WORKERS = 3, TASKS = 100 };

static _Thread_local char *scratch; /* of this thread */
static atomic_int started, stopped;

static void start(int worker, void *size)
{
	(void)worker;
	scratch = malloc(*(size_t *)size);
	CHECK(scratch != NULL);
	atomic_fetch_add(&started, 1);
}

static void stop(int worker, void *size)
{
	(void)worker;
	(void)size;
	free(scratch);
	scratch = NULL;
	atomic_fetch_add(&stopped, 1);
}

/* Its own function, never inlined, and without a call that may suspend: so the thread cannot change
 * while it runs. */
__attribute__((noinline)) static size_t use_scratch(int n)
{
	return (size_t)snprintf(scratch, 16, "%d", n);
}

static void *work(void *arg)
{
	for (int i = 0; i < 10; i++) {
		CHECK(use_scratch(100 + i) == 3);
		weft_yield(); /* perhaps another thread from here on */
	}
	return arg;
}

static void *run(void *arg)
{
	for (int i = 0; i < TASKS; i++)
		CHECK(weft_spawn(work, NULL, NULL) == 0);
	return arg;
}

int main(void)
{
	size_t size = 1024;
	struct weft_runtime_options options = {.workers = WORKERS,
					       .worker_start = start,
					       .worker_stop = stop,
					       .worker_arg = &size};

	CHECK(weft_run_with(&options, run, NULL, NULL) == 0);
	printf("%d workers started and stopped\n", atomic_load(&started));
	CHECK(atomic_load(&started) == WORKERS && atomic_load(&stopped) == WORKERS);
	return EXIT_SUCCESS;
}
