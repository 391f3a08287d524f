/* SPDX-License-Identifier: MIT */
/*
 * Any number of jobs, of which only a few run at a time: a spawn waits until there is room. So
 * there are never more tasks than the limit, however many jobs there are.
 *
 * Go:     g.SetLimit(4); for _, job := range jobs { g.Go(job) }; if !g.TryGo(job) { ... }; g.Wait()
 * tokio:  stream::iter(jobs).for_each_concurrent(4, run).await
 */
#include "../example.h"

#include <weft/weft.h>

#include <stdatomic.h>

enum { LIMIT = 4, JOBS = 200 };

static atomic_int running, done;

static void *job(void *arg)
{
	/* relaxed: counters, which publish nothing. */
	int now = atomic_fetch_add_explicit(&running, 1, memory_order_relaxed) + 1;

	CHECK(now <= LIMIT);
	weft_yield(); /* works */
	atomic_fetch_sub_explicit(&running, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&done, 1, memory_order_relaxed);
	return arg;
}

static void *wait_for(void *event)
{
	return (void *)(intptr_t)weft_event_wait(event);
}

static void *run(void *arg)
{
	weft_event go;
	weft_group g;

	weft_group_init(&g);
	weft_group_set_limit(&g, LIMIT);
	for (int i = 0; i < JOBS; i++)
		CHECK(weft_group_spawn(&g, job, NULL) == 0); /* waits while four run */
	CHECK(weft_group_wait(&g) == 0);
	CHECK(atomic_load_explicit(&done, memory_order_relaxed) == JOBS);

	/* One that does not wait: it is refused while the group is full. */
	weft_event_init(&go);
	for (int i = 0; i < LIMIT; i++)
		CHECK(weft_group_spawn(&g, wait_for, &go) == 0);
	CHECK(weft_group_try_spawn(&g, job, NULL) == -EAGAIN);
	weft_event_set(&go);
	CHECK(weft_group_wait(&g) == 0);
	CHECK(weft_group_try_spawn(&g, job, NULL) == 0);
	CHECK(weft_group_wait(&g) == 0);
	weft_group_fini(&g);
	printf("%d jobs, at most %d at a time\n", JOBS, LIMIT);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
