/* SPDX-License-Identifier: MIT */
/* A semaphore that lets two in at once is not a mutex. */
/* races: inside, inside */
#include "../tsan.h"

static weft_sem sem = WEFT_SEM_INIT(2);
static long used;
static struct unseen in;

KEPT static void *inside(void *arg)
{
	MUST(weft_sem_acquire(&sem) == 0);
	RACE(used++);
	unseen_signal(&in);
	unseen_await(&in, 2);
	weft_sem_release(&sem, 1);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(inside, NULL), *second = spawn(inside, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return used != 2;
}
