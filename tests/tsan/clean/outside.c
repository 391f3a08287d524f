/* SPDX-License-Identifier: MIT */
/* Plain threads without any runtime: locks, forks (serial there) and generators are ordered too. */
#include "../tsan.h"

static weft_mutex mutex = WEFT_MUTEX_INIT;
static weft_sem sem = WEFT_SEM_INIT(0);
static long counter, handed_over;

static void *add_one(void *arg)
{
	++*(long *)arg;
	return arg;
}

static void *count(void *arg)
{
	weft_forked fork;
	long own = 0;

	for (int i = 0; i < 20; i++) {
		weft_fork(&fork, add_one, &own);
		weft_fork_join(&fork);
		weft_mutex_lock(&mutex);
		counter++;
		weft_mutex_unlock(&mutex);
	}
	MUST(own == 20);
	handed_over = 1;
	weft_sem_release(&sem, 1);
	return arg;
}

int main(void)
{
	pthread_t thread = thread_start(count, NULL);

	for (int i = 0; i < 20; i++) {
		weft_mutex_lock(&mutex);
		counter++;
		weft_mutex_unlock(&mutex);
	}
	MUST(weft_sem_acquire(&sem) == 0 && handed_over == 1);
	handed_over = 0;
	pthread_join(thread, NULL);
	return counter != 40;
}
