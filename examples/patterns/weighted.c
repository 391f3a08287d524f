/* SPDX-License-Identifier: MIT */
/*
 * A budget that jobs share. Each job takes as much as it needs, at once or not at all. First come,
 * first served, so small jobs do not starve a large one.
 *
 * Go:     sem := semaphore.NewWeighted(100); sem.Acquire(ctx, n); defer sem.Release(n)
 * tokio:  let permit = semaphore.acquire_many(n).await?;
 */
#include "../example.h"

#include <weft/weft.h>

#include <stdatomic.h>

enum { BUDGET = 100, JOBS = 200 };

static weft_sem budget = WEFT_SEM_INIT(BUDGET);
static atomic_int in_use;

static void *job(void *arg)
{
	unsigned megabytes = *(unsigned *)arg;
	int used, err = weft_sem_acquire_n(&budget, megabytes);

	if (err < 0)
		return (void *)(intptr_t)err; /* cancelled; nothing was taken */

	/* relaxed: a counter, which publishes nothing. */
	used = atomic_fetch_add_explicit(&in_use, (int)megabytes, memory_order_relaxed);
	CHECK(used + (int)megabytes <= BUDGET);
	weft_sleep(20000); /* works */
	atomic_fetch_sub_explicit(&in_use, (int)megabytes, memory_order_relaxed);

	weft_sem_release(&budget, megabytes);
	return NULL;
}

static void *run(void *arg)
{
	unsigned needs[JOBS];
	weft_group group;

	weft_group_init(&group);
	for (unsigned i = 0; i < JOBS; i++) {
		needs[i] = i % 20 == 0 ? BUDGET : 1 + i % 30;
		CHECK(weft_group_spawn(&group, job, &needs[i]) == 0);
	}
	CHECK(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	printf("%d jobs done, %u of %d left\n", JOBS, weft_sem_value(&budget), BUDGET);
	CHECK(weft_sem_value(&budget) == BUDGET);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
