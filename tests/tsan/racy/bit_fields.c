/* SPDX-License-Identifier: MIT */
/* Two tasks own a flag each, in the same byte. */
/* races: set_open, set_dirty */
#include "../tsan.h"

static struct {
	unsigned open : 1;
	unsigned dirty : 1;
} flags;

KEPT static void *set_open(void *arg)
{
	RACE(flags.open = 1);
	return arg;
}

KEPT static void *set_dirty(void *arg)
{
	RACE(flags.dirty = 1);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(set_open, NULL), *second = spawn(set_dirty, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	printf("%d %d\n", flags.open, flags.dirty);
	return 0;
}
