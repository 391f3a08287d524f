/* SPDX-License-Identifier: MIT */
/* Forks and calls take turns in the same part of their parent's stack. */
#include "../tsan.h"

KEPT static long use_stack(long seed)
{
	long array[100];

	for (int i = 0; i < 100; i++)
		array[i] = seed + i;
	return array[seed % 100];
}

static void *fork_body(void *arg)
{
	weft_forked inner;

	if (!arg)
		return (void *)use_stack(3);
	weft_fork(&inner, fork_body, NULL);
	long sum = use_stack(1);
	return (void *)(sum + (long)weft_fork_join(&inner));
}

static void *work(void *arg)
{
	for (int i = 0; i < 4; i++) {
		weft_forked first, second;
		MUST(use_stack(2) == 4);
		weft_fork(&first, fork_body, NULL);
		weft_fork(&second, fork_body, &first);
		MUST(use_stack(2) == 4);
		MUST((long)weft_fork_join(&second) == 8);
		MUST((long)weft_fork_join(&first) == 6);
	}
	return arg;
}

static void *start(void *arg)
{
	weft_task *task = spawn(work, NULL);

	work(NULL);
	join(task);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
