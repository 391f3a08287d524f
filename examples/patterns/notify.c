/* SPDX-License-Identifier: MIT */
/*
 * Wakes one waiter, by an event that resets itself. A wake-up that comes before the wait is kept,
 * and several count as one. So the task that is woken takes everything that is there.
 *
 * Go:     wake := make(chan struct{}, 1); select { case wake <- struct{}{}: default: }; <-wake
 * tokio:  notify.notify_one(); notify.notified().await
 */
#include "../example.h"

#include <weft/weft.h>

enum { PRODUCERS = 4, EACH = 250, ALL = PRODUCERS * EACH };

static weft_event wake = WEFT_EVENT_INIT_AUTO;
static weft_mutex mutex = WEFT_MUTEX_INIT;
static int queue[ALL], queued; /* under mutex */

/* Never waits for the consumer: the queue has no bound. */
static void push(int item)
{
	weft_mutex_lock(&mutex);
	queue[queued++] = item;
	weft_mutex_unlock(&mutex);
	weft_event_set(&wake);
}

static void *produce(void *arg)
{
	for (int i = 0; i < EACH; i++)
		push(i);
	return arg;
}

static void *run(void *arg)
{
	int taken = 0, batches = 0;
	weft_group producers;
	long sum = 0;

	weft_group_init(&producers);
	for (int i = 0; i < PRODUCERS; i++)
		CHECK(weft_group_spawn(&producers, produce, NULL) == 0);

	for (; taken < ALL; batches++) {
		CHECK(weft_event_wait(&wake) ==
		      0); /* a wake-up for what we have taken is harmless */
		weft_mutex_lock(&mutex);
		for (; taken < queued; taken++)
			sum += queue[taken];
		weft_mutex_unlock(&mutex);
	}
	CHECK(weft_group_wait(&producers) == 0);
	weft_group_fini(&producers);
	printf("%d items\n", taken);
	CHECK(sum == PRODUCERS * (EACH * (EACH - 1L) / 2) && batches <= ALL);
	return arg;
}

int main(void)
{
	CHECK(weft_run(run, NULL, NULL) == 0);
	return EXIT_SUCCESS;
}
