/* SPDX-License-Identifier: MIT */
/* Rounds: everybody writes a place of its own, and after the barrier reads all of them; one more
 * barrier before the next. Another barrier is broken: what was written before that can be read by
 * all that waited. */
#include "../tsan.h"

#define N 3

static weft_barrier barrier = WEFT_BARRIER_INIT(N), broken = WEFT_BARRIER_INIT(N);
static long reason;
static long places[N];
static int leaders;

static void *take_part(void *arg)
{
	for (long round = 1; round <= 6; round++) {
		*(long *)arg = round;
		if (weft_barrier_wait(&barrier))
			leaders++; /* one of them in each round */
		for (int i = 0; i < N; i++)
			MUST(places[i] == round);
		weft_barrier_wait(&barrier);
	}
	return arg;
}

static void *wait_for_break(void *arg)
{
	MUST((arg ? weft_barrier_wait(&broken) : weft_barrier_wait_until(&broken, WEFT_FOREVER)) ==
	     -EPIPE);
	MUST(reason == 7);
	return arg;
}

static void *start(void *arg)
{
	pthread_t thread = thread_start(take_part, &places[0]);
	weft_task *first = spawn(take_part, &places[1]), *second = spawn(take_part, &places[2]);

	join(first);
	join(second);
	pthread_join(thread, NULL);

	thread = thread_start(wait_for_break, NULL);
	first = spawn(wait_for_break, &broken);
	weft_yield();
	reason = 7;
	weft_barrier_break(&broken);
	join(first);
	pthread_join(thread, NULL);
	return arg;
}

int main(void)
{
	run(start);
	return leaders != 6;
}
