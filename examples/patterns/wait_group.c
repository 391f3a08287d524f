/* SPDX-License-Identifier: MIT */
/*
 * Waits for tasks whose number nobody knows beforehand, because each may start more of them.
 *
 * Go:     wg.Add(1); go func() { defer wg.Done(); visit(n) }(); wg.Wait()
 * tokio:  TaskTracker: tracker.spawn(visit(n)); tracker.close(); tracker.wait().await
 */
#include "../example.h"

#include <weft/weft.h>

#include <stdatomic.h>

enum { DEPTH = 10 };

static weft_waitgroup visits = WEFT_WAITGROUP_INIT;
static atomic_int visited;

static void *visit(void *depth);

/* Adds before it spawns: so the count cannot be 0 while there is something to wait for. */
static void start_visit(intptr_t depth)
{
	weft_waitgroup_add(&visits, 1);
	CHECK(weft_spawn(visit, (void *)depth, NULL) == 0);
}

static void *visit(void *depth)
{
	/* relaxed: weft_waitgroup_done() publishes it to the one that waits. */
	atomic_fetch_add_explicit(&visited, 1, memory_order_relaxed);
	for (int child = 0; child < 2 && (intptr_t)depth > 0; child++)
		start_visit((intptr_t)depth - 1);
	weft_waitgroup_done(&visits);
	return NULL;
}

static void *run(void *arg)
{
	start_visit(DEPTH);
	CHECK(weft_waitgroup_wait(&visits) == 0);

	int nodes = atomic_load_explicit(&visited, memory_order_relaxed);
	printf("visited %d nodes\n", nodes);
	CHECK(nodes == (2 << DEPTH) - 1);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
