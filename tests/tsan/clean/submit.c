/* SPDX-License-Identifier: MIT */
/* Threads submit tasks and join them; one leaves its task to the runtime's end. */
#include "../tsan.h"

static weft_runtime *rt;
static long results[3], left;

static void *work(void *arg)
{
	++*(long *)arg;
	return arg;
}

static void *submit(void *arg)
{
	weft_task *task;

	*(long *)arg = 5;
	MUST(weft_submit(rt, work, arg, &task) == 0);
	long *result = join(task);
	MUST(*result == 6);
	*result = 7;
	return NULL;
}

int main(void)
{
	pthread_t threads[3];

	MUST(weft_runtime_create(NULL, &rt) == 0);
	for (int i = 0; i < 3; i++)
		threads[i] = thread_start(submit, &results[i]);
	left = 1;
	MUST(weft_submit(rt, work, &left, NULL) == 0);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	weft_runtime_destroy(rt);
	return left != 2 || results[0] + results[1] + results[2] != 21;
}
