/* SPDX-License-Identifier: MIT */
/* Tasks of two runtimes share a mutex, and hand a value over with an event. */
#include "../tsan.h"

static weft_mutex mutex = WEFT_MUTEX_INIT;
static weft_event event = WEFT_EVENT_INIT;
static long counter, value;

static void *give(void *arg)
{
	value = 1;
	weft_event_set(&event);
	for (int i = 0; i < 20; i++) {
		weft_mutex_lock(&mutex);
		counter++;
		weft_mutex_unlock(&mutex);
	}
	return arg;
}

static void *take(void *arg)
{
	for (int i = 0; i < 20; i++) {
		weft_mutex_lock(&mutex);
		counter++;
		weft_mutex_unlock(&mutex);
	}
	MUST(weft_event_wait(&event) == 0 && value == 1);
	value = 2;
	return arg;
}

int main(void)
{
	weft_runtime *rts[2];

	for (int i = 0; i < 2; i++)
		MUST(weft_runtime_create(NULL, &rts[i]) == 0);
	MUST(weft_submit(rts[0], give, NULL, NULL) == 0);
	MUST(weft_submit(rts[1], take, NULL, NULL) == 0);
	for (int i = 0; i < 2; i++)
		weft_runtime_destroy(rts[i]);
	return counter != 40 || value != 2;
}
