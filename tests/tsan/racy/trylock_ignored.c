/* SPDX-License-Identifier: MIT */
/* One task does not look whether it got the mutex. */
/* races: patient, hasty */
#include "../tsan.h"

static weft_mutex mutex = WEFT_MUTEX_INIT;
static long value;
static struct unseen held, done;

KEPT static void *patient(void *arg)
{
	weft_mutex_lock(&mutex);
	RACE(value++);
	weft_mutex_unlock(&mutex);
	weft_mutex_lock(&mutex);
	unseen_signal(&held);
	unseen_await(&done, 1);
	weft_mutex_unlock(&mutex);
	return arg;
}

KEPT static void *hasty(void *arg)
{
	unseen_await(&held, 1);
	int rc = weft_mutex_try_lock(&mutex);
	RACE(value++);
	unseen_signal(&done);
	if (rc == 0)
		weft_mutex_unlock(&mutex);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(patient, NULL), *second = spawn(hasty, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return value != 2;
}
