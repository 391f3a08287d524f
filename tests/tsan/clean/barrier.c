/* SPDX-License-Identifier: MIT */
/* Rounds: everybody writes a place of its own, and after the barrier reads all of them; one more
 * barrier before the next. */
#include "../tsan.h"

#define N 3

static weft_barrier barrier = WEFT_BARRIER_INIT(N);
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

static void *start(void *arg)
{
	pthread_t thread = thread_start(take_part, &places[0]);
	weft_task *first = spawn(take_part, &places[1]), *second = spawn(take_part, &places[2]);

	join(first);
	join(second);
	pthread_join(thread, NULL);
	return arg;
}

int main(void)
{
	run(start);
	return leaders != 6;
}
