/* SPDX-License-Identifier: MIT */
/* Inside of a generator it is the task that races: what it touches there is no more its own than
 * elsewhere. */
/* races: next_number, reset */
#include "../tsan.h"

static long number;

KEPT static void next_number(void)
{
	RACE(number++);
}

KEPT static void *reset(void *arg)
{
	RACE(number = 0);
	return arg;
}

static void *generate(void *in)
{
	next_number();
	in = weft_coro_yield(in);
	next_number();
	return in;
}

static void *start(void *arg)
{
	weft_task *task = spawn(reset, NULL);
	weft_coro *co;

	MUST(weft_coro_create(generate, 0, &co) == 0);
	for (int i = 0; i < 2; i++)
		MUST(weft_coro_enter(co, NULL, NULL) == 0);
	weft_coro_destroy(co);
	join(task);
	return arg;
}

int main(void)
{
	run(start);
	printf("%ld\n", number);
	return 0;
}
