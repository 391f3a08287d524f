/* SPDX-License-Identifier: MIT */
/* Two events hand a value over and back, several times. Then two that reset themselves do. */
#include "../tsan.h"

static weft_event full = WEFT_EVENT_INIT, empty = WEFT_EVENT_INIT;
static int value;

static void *put(void *arg)
{
	for (int i = 1; i <= 10; i++) {
		MUST(weft_event_wait(&empty) == 0);
		weft_event_reset(&empty);
		value = i;
		weft_event_set(&full);
	}
	return arg;
}

static void *get(void *arg)
{
	for (int i = 1; i <= 10; i++) {
		MUST(weft_event_wait(&full) == 0);
		weft_event_reset(&full);
		MUST(value == i);
		value = 0;
		weft_event_set(&empty);
	}
	return arg;
}

static weft_event filled = WEFT_EVENT_INIT_AUTO, emptied = WEFT_EVENT_INIT_AUTO;

static void *put_auto(void *arg)
{
	for (int i = 1; i <= 10; i++) {
		MUST(weft_event_wait(&emptied) == 0);
		value = i;
		weft_event_set(&filled);
	}
	return arg;
}

static void *get_auto(void *arg)
{
	for (int i = 1; i <= 10; i++) {
		MUST(weft_event_wait(&filled) == 0);
		MUST(value == i);
		value = 0;
		weft_event_set(&emptied);
	}
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(put, NULL), *second = spawn(get, NULL);

	weft_event_set(&empty);
	join(first);
	join(second);
	first = spawn(put_auto, NULL);
	second = spawn(get_auto, NULL);
	weft_event_set(&emptied);
	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return value;
}
