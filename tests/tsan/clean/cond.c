/* SPDX-License-Identifier: MIT */
/* A bounded queue of a mutex and two conditions, from tasks and a plain thread. */
#include "../tsan.h"

#define EACH 30

static weft_mutex mutex = WEFT_MUTEX_INIT;
static weft_cond not_empty = WEFT_COND_INIT, not_full = WEFT_COND_INIT;
static long queue[2];
static int length;

static void *produce(void *arg)
{
	for (int i = 0; i < EACH; i++) {
		weft_mutex_lock(&mutex);
		while (length == 2)
			weft_cond_wait(&not_full, &mutex);
		queue[length++] = 1;
		weft_cond_signal(&not_empty);
		weft_mutex_unlock(&mutex);
	}
	return arg;
}

static void *consume(void *arg)
{
	for (int i = 0; i < EACH; i++) {
		weft_mutex_lock(&mutex);
		while (length == 0)
			weft_cond_wait(&not_empty, &mutex);
		*(long *)arg += queue[--length];
		weft_mutex_unlock(&mutex);
		weft_cond_broadcast(&not_full);
	}
	return arg;
}

static void *start(void *arg)
{
	long sums[2] = {0, 0};
	pthread_t thread = thread_start(produce, NULL);
	weft_task *tasks[3] = {spawn(consume, &sums[0]), spawn(produce, NULL),
			       spawn(consume, &sums[1])};

	for (int i = 0; i < 3; i++)
		join(tasks[i]);
	pthread_join(thread, NULL);
	MUST(sums[0] + sums[1] == 2 * EACH);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
