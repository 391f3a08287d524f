/* SPDX-License-Identifier: MIT */
/* Publishes a value by an atomic flag, without release and acquire. */
/* races: produce, consume */
#include "../tsan.h"

/* Not in the same 8 bytes as the flag: of two accesses to these at the same moment the tool
 * remembers one. */
static _Alignas(8) long value;
static _Alignas(8) long source = 7;
static _Atomic bool published;

KEPT static void *produce(void *arg)
{
	RACE(value = *(long *)arg);
	atomic_store_explicit(&published, true, memory_order_relaxed);
	return arg;
}

KEPT static void consume(void)
{
	long seen;

	RACE(seen = value);
	MUST(seen == 7);
}

static void *consumer(void *arg)
{
	while (!atomic_load_explicit(&published, memory_order_relaxed))
		weft_yield();
	consume();
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(consumer, NULL), *second = spawn(produce, &source);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
