/* SPDX-License-Identifier: MIT */
/*
 * switch context|coro|coro-inexact COUNT: two coroutines hand over to each other on one thread.
 * They use the bare contract of src/context.h, or weft_coro_enter() and weft_coro_yield() with
 * everything that these keep. With coro-inexact one of them has divided 1 by 3 before. That sets a
 * flag in mxcsr that the other one has not set. The program is built once for each backend.
 */
#include "src/context.h"
#include "weft_bench.h"

static struct context caller, callee;

static void context_main(void *value)
{
	for (;;)
		value = weft__context_switch(&callee, &caller, (char *)value + 1);
}

static void bare_context(long count)
{
	static _Alignas(64) char stack[65536];
	char *value = NULL;
	int64_t start = 0;

	weft__context_make(&callee, stack, stack + sizeof stack, context_main);
	for (long i = -count / 10; i < count; i++) {
		if (i == 0)
			start = bench_now();
		value = weft__context_switch(&caller, &callee, value);
	}
	bench_report("context", (double)(bench_now() - start) / (double)count / 2, "ns");
	bench_check((intptr_t)value == count + count / 10, "context: the count of switches");
}

static bool inexact;

static void *coro_main(void *value)
{
	if (inexact) {
		volatile double third = 3;
		third = 1 / third;
	}
	while (value != &caller) /* always */
		value = weft_coro_yield((char *)value + 1);
	return NULL;
}

static void coro(long count)
{
	weft_coro *co;
	void *value = NULL;
	int64_t start = 0;

	bench_check(weft_coro_create(coro_main, 0, &co) == 0, "weft_coro_create");
	for (long i = -count / 10; i < count; i++) {
		if (i == 0)
			start = bench_now();
		weft_coro_enter(co, value, &value);
	}
	bench_report("context", (double)(bench_now() - start) / (double)count / 2, "ns");
	bench_check((intptr_t)value == count + count / 10, "coro: the count of switches");
	weft_coro_destroy(co);
}

int main(int argc, char **argv)
{
	long count = bench_arg(argc, argv, 2);

	inexact = strcmp(argv[1], "coro-inexact") == 0;
	if (strncmp(argv[1], "coro", 4) == 0)
		coro(count);
	else
		bare_context(count);
	return 0;
}
