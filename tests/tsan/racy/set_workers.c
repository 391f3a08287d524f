/* SPDX-License-Identifier: MIT */
/* Two tasks change the number of workers, one after the other. That is not a lock that both
 * take. */
/* races: plan, plan */
#include "../tsan.h"

static int planned;
static struct unseen changed;

KEPT static void plan(void)
{
	planned++;
}

static void *change_first(void *arg)
{
	plan();
	for (unsigned n = 1; n <= 3; n++)
		MUST(weft_runtime_set_workers(NULL, n) == 0);
	unseen_signal(&changed);
	return arg;
}

static void *change_last(void *arg)
{
	unseen_await(&changed, 1);
	for (unsigned n = 4; n >= 1; n--)
		MUST(weft_runtime_set_workers(NULL, n) == 0);
	MUST(weft_runtime_set_workers(NULL, 4) == 0);
	plan();
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(change_first, NULL), *second = spawn(change_last, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return planned != 2;
}
