/* SPDX-License-Identifier: MIT */
/*
 * Starts something, goes on, and fetches the result later.
 *
 * Go:     c := make(chan int, 1); go func() { c <- fib(20) }(); other(); n := <-c
 * tokio:  let task = tokio::spawn(async { fib(20) }); other(); let n = task.await?;
 */
#include "../example.h"

#include <weft/weft.h>

static intptr_t fib(intptr_t n)
{
	return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static void *fib_task(void *n)
{
	return (void *)fib((intptr_t)n);
}

/* The argument must live as long as the task: here until the join. */
static void *increment(void *counter)
{
	++*(int *)counter;
	return NULL;
}

static void *run(void *arg)
{
	weft_task *task, *counting;
	int counter = 41;
	void *result;

	CHECK(weft_spawn(fib_task, (void *)(intptr_t)20, &task) == 0);
	CHECK(weft_spawn(increment, &counter, &counting) == 0);
	CHECK(fib(10) == 55); /* meanwhile */

	/* Everything that a task did happens before the join of it returns. */
	CHECK(weft_join(counting, NULL) == 0);
	CHECK(counter == 42);
	CHECK(weft_join(task, &result) == 0);
	printf("fib(20) is %ld\n", (long)(intptr_t)result);
	CHECK((intptr_t)result == 6765);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
