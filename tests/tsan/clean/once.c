/* SPDX-License-Identifier: MIT */
/* Initialised by whoever comes first, with a wait in the middle; and by the first who succeeds. */
#include "../tsan.h"

static weft_once once = WEFT_ONCE_INIT, tried = WEFT_ONCE_INIT;
static int table[4], attempts;

static void fill(void *arg)
{
	(void)arg;
	table[0] = 1;
	weft_yield();
	table[3] = 4;
}

static int fail_twice(void *arg)
{
	(void)arg;
	weft_yield();
	return ++attempts < 3 ? -EIO : 0;
}

static void *use(void *arg)
{
	while (weft_once_try(&tried, fail_twice, NULL) < 0)
		;
	MUST(attempts == 3);
	weft_once_call(&once, fill, NULL);
	MUST(table[0] == 1 && table[3] == 4);
	return arg;
}

static void *start(void *arg)
{
	weft_task *tasks[3] = {spawn(use, NULL), spawn(use, NULL), spawn(use, NULL)};

	use(NULL);
	for (int i = 0; i < 3; i++)
		join(tasks[i]);
	return arg;
}

int main(void)
{
	run(start);
	table[0] = 0;
	return 0;
}
