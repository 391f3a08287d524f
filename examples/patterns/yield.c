/* SPDX-License-Identifier: MIT */
/*
 * A long computation on the only worker. Tasks are not preempted, so this one lets the others run
 * now and then. (If there were more workers, those would steal what waits behind it.)
 *
 * Go:     runtime.Gosched(), seldom needed since goroutines are preempted
 * tokio:  tokio::task::yield_now().await
 */
#include "../example.h"

#include <weft/weft.h>

#include <stdatomic.h>

static atomic_bool asked, stopped;

/* Counts primes until it is told to stop, which needs a turn of another task on the same worker. */
static void *count_primes(void *arg)
{
	intptr_t primes = 0;

	(void)arg;
	for (int n = 2; !atomic_load_explicit(&stopped, memory_order_relaxed); n++) {
		bool prime = true;

		for (int d = 2; d * d <= n && prime; d++)
			prime = n % d != 0;
		primes += prime;
		if (n % 1000 == 0)
			weft_yield();
		/* relaxed: flags, which publish nothing. */
		if (primes == 1000)
			atomic_store_explicit(&asked, true, memory_order_relaxed);
	}
	return (void *)primes;
}

static void *stop_it(void *arg)
{
	while (!atomic_load_explicit(&asked, memory_order_relaxed))
		weft_yield();
	atomic_store_explicit(&stopped, true, memory_order_relaxed);
	return arg;
}

static void *run(void *arg)
{
	weft_task *counter;
	void *primes;

	(void)arg;
	CHECK(weft_spawn(count_primes, NULL, &counter) == 0);
	CHECK(weft_spawn(stop_it, NULL, NULL) == 0);
	CHECK(weft_join(counter, &primes) == 0);
	return primes;
}

int main(void)
{
	struct weft_runtime_options one = {.workers = 1};
	void *primes;

	CHECK(weft_run_with(&one, run, NULL, &primes) == 0);
	CHECK((intptr_t)primes >= 1000);
	printf("at least 1000 primes, and the other task had its turn\n");
	return EXIT_SUCCESS;
}
