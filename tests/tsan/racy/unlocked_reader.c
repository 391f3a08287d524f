/* SPDX-License-Identifier: MIT */
/* Writers hold the mutex; the reader thinks that it need not. */
/* races: deposit, glance */
#include "../tsan.h"

static weft_mutex mutex = WEFT_MUTEX_INIT;
static long balance;

KEPT static void *deposit(void *arg)
{
	weft_mutex_lock(&mutex);
	RACE(balance += 10);
	weft_mutex_unlock(&mutex);
	return arg;
}

KEPT static void *glance(void *arg)
{
	long seen;

	RACE(seen = balance);
	printf("%ld\n", seen);
	return arg;
}

static void *start(void *arg)
{
	weft_task *writers[2] = {spawn(deposit, NULL), spawn(deposit, NULL)};
	weft_task *reader = spawn(glance, NULL);

	join(writers[0]);
	join(writers[1]);
	join(reader);
	return arg;
}

int main(void)
{
	run(start);
	return balance != 20;
}
