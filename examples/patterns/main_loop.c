/* SPDX-License-Identifier: MIT */
/*
 * A runtime beside a thread of your own, which submits work and waits for the results. The thread
 * may be a user interface, or belong to a library whose callers know nothing of tasks.
 *
 * Go:     runtime.GOMAXPROCS(2), in a program whose main() is Go's
 * tokio:  let rt = Builder::new_multi_thread().worker_threads(2).build()?; rt.block_on(fetch(7))
 */
#include "../example.h"

#include <weft/weft.h>

static void *fetch(void *n)
{
	weft_sleep(1000000);
	return (void *)((intptr_t)n * 2);
}

/* rt.block_on(): runs fn(arg) as a task, while the calling thread waits for it. */
static int block_on(weft_runtime *rt, weft_fn *fn, void *arg, void **ret_result)
{
	weft_task *task;
	int err = weft_submit(rt, fn, arg, &task);

	return err < 0 ? err : weft_join(task, ret_result);
}

int main(void)
{
	struct weft_runtime_options options = {.workers = 2};
	weft_task *started[10];
	weft_runtime *rt;
	void *result;
	long sum = 0;

	CHECK(weft_runtime_create(&options, &rt) == 0);
	CHECK(weft_runtime_workers(rt) == 2);
	CHECK(block_on(rt, fetch, (void *)7, &result) == 0);
	CHECK((intptr_t)result == 14);

	/* rt.spawn(): several at once. */
	for (intptr_t i = 0; i < 10; i++)
		CHECK(weft_submit(rt, fetch, (void *)i, &started[i]) == 0);
	CHECK(weft_runtime_set_workers(rt, 3) == 0); /* GOMAXPROCS, while tasks run */
	for (int i = 0; i < 10; i++) {
		CHECK(weft_join(started[i], &result) == 0);
		sum += (intptr_t)result;
	}
	printf("the sum is %ld\n", sum);
	CHECK(sum == 90);
	CHECK(weft_runtime_destroy(rt) == 0); /* waits for all tasks, and ends the threads */
	return EXIT_SUCCESS;
}
