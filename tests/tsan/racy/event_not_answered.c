/* SPDX-License-Identifier: MIT */
/* Sets an event for each value, and writes the next one without waiting for an answer. */
/* races: offer, receive */
#include "../tsan.h"

static weft_event event = WEFT_EVENT_INIT;
static int value;
static struct unseen received;

KEPT static void offer(int next)
{
	value = next;
	weft_event_set(&event);
}

KEPT static int receive(void)
{
	return value;
}

static void *sender(void *arg)
{
	offer(1);
	unseen_await(&received, 1);
	offer(2);
	return arg;
}

static void *receiver(void *arg)
{
	MUST(weft_event_wait(&event) == 0);
	MUST(receive() == 1);
	unseen_signal(&received);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(receiver, NULL), *second = spawn(sender, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return value != 2;
}
