/* SPDX-License-Identifier: MIT */
/* A program's own release and acquire, between tasks. */
#include "../tsan.h"

static _Atomic bool published;
static long value;

static void *produce(void *arg)
{
	value = 7;
	/* release: the value, for the acquire in consume(). */
	atomic_store_explicit(&published, true, memory_order_release);
	return arg;
}

static void *consume(void *arg)
{
	while (!atomic_load_explicit(&published, memory_order_acquire))
		weft_yield();
	MUST(value == 7);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(consume, NULL), *second = spawn(produce, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
