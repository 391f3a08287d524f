/* SPDX-License-Identifier: MIT */
/*
 * Does something in each worker's thread when it starts and when it ends. Here each worker has a
 * counter of its own, without contention, and the counters are added up at the end.
 *
 * Go:     has none (a goroutine for each thread, with runtime.LockOSThread)
 * tokio:  Builder::on_thread_start(...), on_thread_stop(...), on_thread_park(...)
 */
#include "../example.h"

#include <weft/weft.h>

#include <stdatomic.h>

enum { WORKERS = 3, TASKS = 100, ROUNDS = 10 };

struct totals {
	atomic_int started, stopped, counted;
};

static struct {
	_Alignas(64) atomic_int count; /* a cache line for each worker */
} counters[WORKERS];

static void start(int worker, void *arg)
{
	struct totals *totals = arg;

	CHECK(worker >= 0 && worker < WORKERS);
	atomic_store(&counters[worker].count, 0);
	atomic_fetch_add(&totals->started, 1);
}

static void stop(int worker, void *arg)
{
	struct totals *totals = arg;

	atomic_fetch_add(&totals->counted, atomic_load(&counters[worker].count));
	atomic_fetch_add(&totals->stopped, 1);
}

static void *work(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		atomic_fetch_add(&counters[weft_worker_id()].count, 1);
		weft_yield(); /* perhaps another worker from here on */
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
	struct totals totals = {0};
	struct weft_runtime_options options = {.workers = WORKERS,
					       .worker_start = start,
					       .worker_stop = stop,
					       .worker_arg = &totals};

	CHECK(weft_run_with(&options, run, NULL, NULL) == 0);
	CHECK(totals.started == WORKERS && totals.stopped == WORKERS);
	CHECK(totals.counted == TASKS * ROUNDS);
	printf("%d rounds on %d workers\n", totals.counted, WORKERS);
	return EXIT_SUCCESS;
}
