/* SPDX-License-Identifier: MIT */
/*
 * Starts a task for each of many jobs. Only a few of them work at a time.
 *
 * Go:     sem <- struct{}{}; defer func() { <-sem }()
 * tokio:  let _permit = semaphore.acquire().await?;
 */
#include "../example.h"

#include <weft/weft.h>

#include <stdatomic.h>

enum { LIMIT = 3, JOBS = 200 };

static weft_sem slots = WEFT_SEM_INIT(LIMIT);
static atomic_int working, most;
static int done[JOBS];

static void *job(void *arg)
{
	int *mine = arg;
	int now, seen;

	if (weft_sem_acquire(&slots) < 0)
		return (void *)(intptr_t)-ECANCELED; /* nothing was taken */

	/* relaxed: counters, which publish nothing. */
	now = atomic_fetch_add_explicit(&working, 1, memory_order_relaxed) + 1;
	seen = atomic_load_explicit(&most, memory_order_relaxed);
	while (now > seen && !atomic_compare_exchange_weak_explicit(
				     &most, &seen, now, memory_order_relaxed, memory_order_relaxed))
		;
	weft_sleep(100000); /* works, while others would like to */
	*mine = 1;
	atomic_fetch_sub_explicit(&working, 1, memory_order_relaxed);

	weft_sem_release(&slots, 1);
	return NULL;
}

static void *run(void *arg)
{
	weft_group group;
	int sum = 0;

	weft_group_init(&group);
	for (int i = 0; i < JOBS; i++)
		CHECK(weft_group_spawn(&group, job, &done[i]) == 0);
	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);

	for (int i = 0; i < JOBS; i++)
		sum += done[i];
	int at_once = atomic_load_explicit(&most, memory_order_relaxed);
	printf("%d jobs done, at most %d at a time\n", sum, at_once);
	CHECK(sum == JOBS && at_once >= 1 && at_once <= LIMIT);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
