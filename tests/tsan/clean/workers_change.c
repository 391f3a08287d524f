/* SPDX-License-Identifier: MIT */
/* Workers come and go while tasks run. */
#include "../tsan.h"

static weft_mutex mutex = WEFT_MUTEX_INIT;
static long counter;

static void *work(void *arg)
{
	long own[16] = {0};

	for (int i = 0; i < 30; i++) {
		own[i % 16]++;
		weft_mutex_lock(&mutex);
		counter++;
		weft_mutex_unlock(&mutex);
		weft_yield();
	}
	MUST(own[0] == 2);
	return arg;
}

static void *start(void *arg)
{
	weft_task *tasks[4];

	for (int i = 0; i < 4; i++)
		tasks[i] = spawn(work, NULL);
	for (unsigned n = 1; n <= 4; n++) {
		MUST(weft_runtime_set_workers(NULL, n % 4 + 1) == 0);
		weft_yield();
	}
	for (int i = 0; i < 4; i++)
		join(tasks[i]);
	return arg;
}

int main(void)
{
	run(start);
	return counter != 120;
}
