/* SPDX-License-Identifier: MIT */
/* Counts under a mutex, and reads the count once more when the mutex is given back. */
/* races: take, report */
#include "../tsan.h"

static weft_mutex mutex = WEFT_MUTEX_INIT;
static long taken, reported;
static struct unseen locked_once;

KEPT static void take(void)
{
	weft_mutex_lock(&mutex);
	RACE(taken++);
	weft_mutex_unlock(&mutex);
}

KEPT static void report(void)
{
	RACE(reported = taken);
}

static void *take_and_report(void *arg)
{
	take();
	unseen_signal(&locked_once);
	report();
	return arg;
}

/* After the other's unlock, so that this is not a race by itself; nobody's lock orders its
 * report. */
static void *only_take(void *arg)
{
	unseen_await(&locked_once, 1);
	take();
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(take_and_report, NULL), *second = spawn(only_take, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	printf("%ld\n", reported);
	return taken != 2;
}
