/* SPDX-License-Identifier: MIT */
/* Each task joins the one before it: their accesses to one variable follow each other. */
#include "../tsan.h"

static long sum;

static void *add_after(void *arg)
{
	if (arg)
		join(arg);
	sum++;
	return NULL;
}

static void *start(void *arg)
{
	weft_task *last = NULL;

	for (int i = 0; i < 5; i++)
		last = spawn(add_after, last);
	join(last);
	sum++;
	return arg;
}

int main(void)
{
	run(start);
	return sum != 6;
}
