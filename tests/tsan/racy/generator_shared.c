/* SPDX-License-Identifier: MIT */
/* Two tasks enter one generator, and nothing orders the two calls. */
/* races: enter_first, enter_last */
#include "../tsan.h"

static weft_coro *co;
static struct unseen entered;

static void *generate(void *in)
{
	in = weft_coro_yield(in);
	return in;
}

KEPT static void *enter_first(void *arg)
{
	MUST(weft_coro_enter(co, NULL, NULL) == 0);
	unseen_signal(&entered);
	return arg;
}

KEPT static void *enter_last(void *arg)
{
	unseen_await(&entered, 1);
	MUST(weft_coro_enter(co, NULL, NULL) == 0);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(enter_first, NULL), *last = spawn(enter_last, NULL);

	join(first);
	join(last);
	return arg;
}

int main(void)
{
	MUST(weft_coro_create(generate, 0, &co) == 0);
	run(start);
	weft_coro_destroy(co);
	return 0;
}
