/* SPDX-License-Identifier: MIT */
/*
 * life COUNT: the whole life of a coroutine, COUNT times, one after the other. It is created and
 * entered, yields, is entered again, ends, and is destroyed.
 *
 * life_short: without the yield. life_cut: it is destroyed while it is suspended in its yield.
 */
#include "weft_bench.h"

static void *yields_once(void *in)
{
	return weft_coro_yield(in);
}

static void *returns(void *in)
{
	return in;
}

static void *life(weft_fn *fn, void *in, unsigned enters)
{
	weft_coro *co;
	void *out = NULL;

	bench_check(weft_coro_create(fn, 0, &co) == 0, "weft_coro_create");
	do
		weft_coro_enter(co, in, &out);
	while (--enters > 0);
	weft_coro_destroy(co);
	return out;
}

static void measure(const char *name, weft_fn *fn, unsigned enters, intptr_t count)
{
	intptr_t sum = 0;
	int64_t start = 0;

	for (intptr_t i = -count / 10; i < count; i++) {
		if (i == 0)
			start = bench_now();
		sum += (intptr_t)life(fn, (void *)i, enters) - i;
	}
	bench_report(name, (double)(bench_now() - start) / (double)count, "ns");
	bench_check(sum == 0, "the results");
}

int main(int argc, char **argv)
{
	long count = bench_arg(argc, argv, 1);

	measure("life", yields_once, 2, count);
	measure("life_short", returns, 1, count);
	measure("life_cut", yields_once, 1, count);
	return 0;
}
