/* SPDX-License-Identifier: MIT */
/* A mutex of the C library, not held over anything that waits, orders tasks as it orders
 * threads. */
#include "../tsan.h"

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;

static void *count(void *arg)
{
	for (int i = 0; i < 20; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		pthread_mutex_unlock(&mutex);
		weft_yield();
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
	return counter != 80;
}
