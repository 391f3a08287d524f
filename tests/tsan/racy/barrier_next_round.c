/* SPDX-License-Identifier: MIT */
/*
 * Everybody reads after the barrier what one has written before it; that one writes the next value
 * at once, instead of after one more barrier.
 */
/* races: set_step, get_step */
#include "../tsan.h"

static weft_barrier barrier = WEFT_BARRIER_INIT(2);
static int step;

KEPT static void set_step(int value)
{
	RACE(step = value);
}

KEPT static int get_step(void)
{
	int seen;

	RACE(seen = step);
	return seen;
}

static void *leader(void *arg)
{
	for (int i = 1; i <= 2; i++) {
		set_step(i);
		weft_barrier_wait(&barrier);
	}
	return arg;
}

static void *follower(void *arg)
{
	for (int i = 1; i <= 2; i++) {
		weft_barrier_wait(&barrier);
		MUST(get_step() >= i);
	}
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(leader, NULL), *second = spawn(follower, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return step != 2;
}
