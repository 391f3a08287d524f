/* SPDX-License-Identifier: MIT */
/* Both tasks lock, but not the same mutex. */
/* races: add_left, add_right */
#include "../tsan.h"

static weft_mutex left = WEFT_MUTEX_INIT, right = WEFT_MUTEX_INIT;
static long sum;

KEPT static void *add_left(void *arg)
{
	weft_mutex_lock(&left);
	RACE(sum += 1);
	weft_mutex_unlock(&left);
	return arg;
}

KEPT static void *add_right(void *arg)
{
	weft_mutex_lock(&right);
	RACE(sum += 2);
	weft_mutex_unlock(&right);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(add_left, NULL), *second = spawn(add_right, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return sum != 3;
}
