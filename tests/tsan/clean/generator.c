/* SPDX-License-Identifier: MIT */
/* A task's generator: enter and yield hand its data to and fro, wherever the task runs, and it may
 * wait inside. */
#include "../tsan.h"

static void *generate(void *in)
{
	long numbers[8] = {0};

	for (int i = 0; i < 8; i++) {
		*(long *)in += 1;
		numbers[i] = *(long *)in;
		if (i == 4)
			MUST(weft_sleep(10000) == 0);
		weft_yield();
		in = weft_coro_yield(&numbers[i]);
	}
	return NULL;
}

static void *work(void *arg)
{
	weft_coro *co;
	long value = 0;

	MUST(weft_coro_create(generate, 0, &co) == 0);
	for (int i = 1; i <= 6; i++) {
		void *out;
		weft_coro_enter(co, &value, &out);
		MUST(*(long *)out == 2 * i - 1);
		*(long *)out = 0;
		value++;
		weft_yield();
	}
	weft_coro_destroy(co); /* in the middle: its stack is the next one's */
	return arg;
}

static void *start(void *arg)
{
	weft_task *tasks[2] = {spawn(work, NULL), spawn(work, NULL)};

	join(tasks[0]);
	join(tasks[1]);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
