/* SPDX-License-Identifier: MIT */
/* Looks at the condition's variable before it takes the mutex, to save the trouble. */
/* races: wait_ready, make_ready */
#include "../tsan.h"

static weft_mutex mutex = WEFT_MUTEX_INIT;
static weft_cond cond = WEFT_COND_INIT;
static bool ready;
static struct unseen made;

KEPT static void wait_ready(void)
{
	if (ready)
		return;
	weft_mutex_lock(&mutex);
	while (!ready)
		weft_cond_wait(&cond, &mutex);
	weft_mutex_unlock(&mutex);
}

KEPT static void *make_ready(void *arg)
{
	weft_mutex_lock(&mutex);
	ready = true;
	weft_cond_signal(&cond);
	weft_mutex_unlock(&mutex);
	unseen_signal(&made);
	return arg;
}

static void *waiter(void *arg)
{
	/* Were it first, its unlock in the wait would order its look before the other's lock. */
	unseen_await(&made, 1);
	wait_ready();
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(waiter, NULL), *second = spawn(make_ready, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return !ready;
}
