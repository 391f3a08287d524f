/* SPDX-License-Identifier: MIT */
/* So many that queues grow, and memory passes from worker to worker. */
#include "../tsan.h"

static weft_mutex mutex = WEFT_MUTEX_INIT;
static long counter;

static void *count(void *arg)
{
	weft_mutex_lock(&mutex);
	counter++;
	weft_mutex_unlock(&mutex);
	return arg;
}

static void *start(void *arg)
{
	for (int i = 0; i < 300; i++)
		spawn_detached(count, NULL);
	return arg;
}

int main(void)
{
	run(start);
	return counter != 300;
}
