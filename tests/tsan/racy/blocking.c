/* SPDX-License-Identifier: MIT */
/* What runs on a thread for blocking calls is ordered with the task that waits for it, not with
 * others. */
/* races: load, reload */
#include "../tsan.h"

static int loaded;

KEPT static void *load(void *arg)
{
	RACE(loaded = 1);
	return arg;
}

KEPT static void *reload(void *arg)
{
	RACE(loaded = 2);
	return arg;
}

static void *loader(void *arg)
{
	MUST(weft_blocking(load, NULL, NULL) == 0);
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(loader, NULL), *second = spawn(reload, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return loaded == 0;
}
