/* SPDX-License-Identifier: MIT */
/* The task that waits for a condition holds the mutex. The task that makes it true does not. */
/* races: await_order, place_order */
#include "../tsan.h"

static weft_mutex mutex = WEFT_MUTEX_INIT;
static weft_cond cond = WEFT_COND_INIT;
static int orders;
static struct unseen placed;

KEPT static void await_order(void)
{
	weft_mutex_lock(&mutex);
	while (orders == 0)
		/* Not for ever: the signal may come between the look and the wait. */
		weft_cond_wait_until(&cond, &mutex, weft_after(1000000));
	weft_mutex_unlock(&mutex);
}

static void *cook(void *arg)
{
	unseen_await(&placed, 1);
	await_order();
	return arg;
}

KEPT static void *place_order(void *arg)
{
	orders = 1;
	weft_cond_signal(&cond);
	unseen_signal(&placed);
	return arg;
}

static void *start(void *arg)
{
	weft_task *waiter = spawn(cook, NULL), *guest = spawn(place_order, NULL);

	join(waiter);
	join(guest);
	return arg;
}

int main(void)
{
	run(start);
	return orders != 1;
}
