/* SPDX-License-Identifier: MIT */
/* Tasks and a plain thread count under one mutex. */
#include "../tsan.h"

static weft_mutex mutex = WEFT_MUTEX_INIT;
static long counter;

static void *count(void *arg)
{
	for (int i = 0; i < 50; i++) {
		weft_mutex_lock(&mutex);
		long now = counter;
		if (i % 10 == 0)
			weft_yield();
		counter = now + 1;
		weft_mutex_unlock(&mutex);
	}
	return arg;
}

static void *start(void *arg)
{
	pthread_t thread = thread_start(count, NULL);
	weft_task *tasks[3];

	for (int i = 0; i < 3; i++)
		tasks[i] = spawn(count, NULL);
	for (int i = 0; i < 3; i++)
		join(tasks[i]);
	pthread_join(thread, NULL);
	return arg;
}

int main(void)
{
	run(start);
	return counter != 200;
}
