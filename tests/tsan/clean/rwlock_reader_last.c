/* SPDX-License-Identifier: MIT */
/* What a reader did to data of its own before its unlock comes before the next writer. */
#include "../tsan.h"

static weft_rwlock lock = WEFT_RWLOCK_INIT;
static long value = 1, copies[2];
static struct unseen copied;

static void *copy(void *arg)
{
	weft_rwlock_rdlock(&lock);
	*(long *)arg = value;
	weft_rwlock_unlock(&lock);
	unseen_signal(&copied);
	return arg;
}

static void *check(void *arg)
{
	unseen_await(&copied, 2);
	weft_rwlock_wrlock(&lock);
	MUST(copies[0] == 1 && copies[1] == 1);
	copies[0] = copies[1] = value = 2;
	weft_rwlock_unlock(&lock);
	return arg;
}

static void *start(void *arg)
{
	weft_task *tasks[3] = {spawn(copy, &copies[0]), spawn(copy, &copies[1]),
			       spawn(check, NULL)};

	for (int i = 0; i < 3; i++)
		join(tasks[i]);
	return arg;
}

int main(void)
{
	run(start);
	return value != 2;
}
