/* SPDX-License-Identifier: MIT */
/* Each holder of the lock for reading counts the readers, in a plain variable. */
/* races: look_up, look_up */
#include "../tsan.h"

static weft_rwlock lock = WEFT_RWLOCK_INIT;
static long hits;

KEPT static void *look_up(void *arg)
{
	weft_rwlock_rdlock(&lock);
	RACE(hits++);
	weft_rwlock_unlock(&lock);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(look_up, NULL), *second = spawn(look_up, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return hits != 2;
}
