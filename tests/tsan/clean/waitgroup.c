/* SPDX-License-Identifier: MIT */
/* Rounds of tasks and a thread: what each did before its done can be read after the wait. */
#include "../tsan.h"

#define N 3

static weft_waitgroup wg = WEFT_WAITGROUP_INIT;
static long places[N];

static void *work(void *arg)
{
	++*(long *)arg;
	weft_waitgroup_done(&wg);
	return arg;
}

static void *start(void *arg)
{
	for (long round = 1; round <= 5; round++) {
		weft_waitgroup_add(&wg, N);
		for (int i = 1; i < N; i++)
			spawn_detached(work, &places[i]);
		pthread_t thread = thread_start(work, &places[0]);
		MUST((round % 2 ? weft_waitgroup_wait(&wg)
				: weft_waitgroup_wait_until(&wg, WEFT_FOREVER)) == 0);
		for (int i = 0; i < N; i++)
			MUST(places[i] == round);
		pthread_join(thread, NULL);
	}
	return arg;
}

int main(void)
{
	run(start);
	weft_waitgroup_fini(&wg);
	return 0;
}
