/* SPDX-License-Identifier: MIT */
/*
 * Receives the results of several tasks in the order in which they end. The group keeps the results
 * until somebody receives them. Here a plain thread submits the tasks and receives; a task may do
 * the same.
 *
 * Go:     results := make(chan int, n); ...; for range n { r := <-results; ... }
 * tokio:  set.spawn(square(i)); while let Some(r) = set.join_next().await { ... }
 */
#include "../example.h"

#include <weft/weft.h>

enum { TASKS = 20 };

static void *square(void *arg)
{
	intptr_t n = (intptr_t)arg;

	weft_sleep((n * 7 % TASKS) * 50000); /* the last one is not the last to end */
	return (void *)(n * n);
}

/* In a set whose owner wants no more results. */
static void *wait_for_ever(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)weft_sleep_until(WEFT_FOREVER);
}

int main(void)
{
	weft_runtime *rt;
	weft_group set;
	void *result;
	long sum = 0;
	int count = 0;

	CHECK(weft_runtime_create(NULL, &rt) == 0);
	weft_group_init(&set);
	weft_group_keep_results(&set);
	for (intptr_t i = 0; i < TASKS; i++)
		CHECK(weft_group_submit(&set, rt, square, (void *)i) == 0);
	for (; weft_group_next(&set, &result) == 0; count++)
		sum += (long)(intptr_t)result;
	printf("%d results, the sum is %ld\n", count, sum);
	CHECK(count == TASKS && sum == (TASKS - 1) * TASKS * (2 * TASKS - 1) / 6);

	/* set.abort_all(): each task still has a result. */
	for (int i = 0; i < 3; i++)
		CHECK(weft_group_submit(&set, rt, wait_for_ever, NULL) == 0);
	weft_group_cancel(&set);
	for (int i = 0; i < 3; i++)
		CHECK(weft_group_next(&set, &result) == 0 && (intptr_t)result == -ECANCELED);
	CHECK(weft_group_next(&set, &result) == -ECHILD); /* nothing is left, and nothing runs */
	CHECK(weft_group_wait(&set) == -ECANCELED);       /* the first error of its tasks */
	weft_group_fini(&set);
	CHECK(weft_runtime_destroy(rt) == 0);
	return EXIT_SUCCESS;
}
