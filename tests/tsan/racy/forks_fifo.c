/* SPDX-License-Identifier: MIT */
/* Two forks, joined in the order in which they cannot run inline. */
/* races: write_left, write_right */
#include "../tsan.h"

static long last;

KEPT static void *write_left(void *arg)
{
	RACE(last = 1);
	return arg;
}

KEPT static void *write_right(void *arg)
{
	RACE(last = 2);
	return arg;
}

static void *start(void *arg)
{
	weft_forked left, right;

	weft_fork(&left, write_left, NULL);
	weft_fork(&right, write_right, NULL);
	weft_fork_join(&left);
	weft_fork_join(&right);
	return arg;
}

int main(void)
{
	run(start);
	return last == 0;
}
