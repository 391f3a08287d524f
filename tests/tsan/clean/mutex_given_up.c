/* SPDX-License-Identifier: MIT */
/* A task that did not get the mutex does not touch what it protects. */
#include "../tsan.h"

static weft_mutex mutex = WEFT_MUTEX_INIT;
static long counter, tried, timed_out;

static void *try_it(void *arg)
{
	for (int i = 0; i < 20; i++) {
		if (weft_mutex_try_lock(&mutex) == 0) {
			tried++;
			counter++;
			weft_yield();
			weft_mutex_unlock(&mutex);
		}
		weft_yield();
	}
	return arg;
}

static void *try_for_a_while(void *arg)
{
	for (int i = 0; i < 20; i++) {
		if (weft_mutex_lock_until(&mutex, weft_after(1000)) == 0) {
			timed_out++;
			counter++;
			weft_yield();
			weft_mutex_unlock(&mutex);
		}
		weft_yield();
	}
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(try_it, NULL), *second = spawn(try_for_a_while, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return counter != tried + timed_out;
}
