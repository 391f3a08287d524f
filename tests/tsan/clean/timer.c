/* SPDX-License-Identifier: MIT */
/* What is done before a timer is reset is seen by the one that takes its expiry, in a select or
 * not. */
#include "../tsan.h"

static weft_timer full;
static weft_event empty = WEFT_EVENT_INIT;
static int value;

static void *put(void *arg)
{
	for (int i = 1; i <= 10; i++) {
		MUST(weft_event_wait(&empty) == 0);
		weft_event_reset(&empty);
		value = i;
		weft_timer_reset(&full, i % 3 ? 0 : weft_after(100000), i % 2 ? 3600000000000 : 0);
	}
	return arg;
}

static void *get(void *arg)
{
	uint64_t ticks;
	struct weft_case one = {.op = WEFT_TIMER, .timer = &full, .elem = &ticks};

	for (int i = 1; i <= 10; i++) {
		if (i % 4 == 0)
			MUST(weft_timer_wait(&full, &ticks) == 0);
		else
			MUST(weft_select(&one, 1, WEFT_FOREVER) == 0);
		MUST(ticks == 1);
		MUST(value == i);
		value = 0;
		weft_event_set(&empty);
	}
	return arg;
}

static void *start(void *arg)
{
	weft_timer_init(&full);
	weft_task *first = spawn(put, NULL), *second = spawn(get, NULL);

	weft_event_set(&empty);
	join(first);
	join(second);
	weft_timer_fini(&full);
	return arg;
}

int main(void)
{
	run(start);
	return value;
}
