/* SPDX-License-Identifier: MIT */
/* An inline fork waits for another task, so that its parent's stack moves with it. */
#include "../tsan.h"

static weft_event event = WEFT_EVENT_INIT;

static void *wait_and_double(void *arg)
{
	char padding[256];

	memset(padding, 1, sizeof padding);
	MUST(weft_event_wait(&event) == 0);
	*(long *)arg *= 2 * padding[17];
	return arg;
}

static void *set(void *arg)
{
	*(long *)arg = 3;
	weft_event_set(&event);
	return arg;
}

static void *start(void *arg)
{
	long value = 0, others[16] = {0};
	weft_forked fork;

	weft_fork(&fork, wait_and_double, &value);
	weft_task *task = spawn(set, &value);
	others[5] = 1;
	weft_fork_join(&fork);
	MUST(value == 6 && others[5] == 1);
	join(task);
	value = 0;
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
