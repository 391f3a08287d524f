/* SPDX-License-Identifier: MIT */
/* A task and a plain thread. */
/* races: from_task, from_thread */
#include "../tsan.h"

static long hits;

KEPT static void *from_task(void *arg)
{
	RACE(hits++);
	return arg;
}

KEPT static void *from_thread(void *arg)
{
	RACE(hits++);
	return arg;
}

static void *start(void *arg)
{
	pthread_t thread = thread_start(from_thread, NULL);
	weft_task *task = spawn(from_task, NULL);

	join(task);
	pthread_join(thread, NULL);
	return arg;
}

int main(void)
{
	run(start);
	return hits != 2;
}
