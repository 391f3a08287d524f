/* SPDX-License-Identifier: MIT */
/* errno is the task's, though it lies in memory that its thread's tasks share. */
#include "../tsan.h"

static void *use_errno(void *arg)
{
	MUST(errno == 0);
	for (int i = 0; i < 10; i++) {
		errno = (int)(long)arg + i;
		weft_yield();
		MUST(errno == (int)(long)arg + i);
	}
	return NULL;
}

static void *fork_with_errno(void *arg)
{
	weft_task fork;

	errno = 7;
	weft_fork(&fork, use_errno, (void *)300);
	weft_fork_join(&fork);
	MUST(errno == 7);
	return arg;
}

static void *start(void *arg)
{
	weft_task *tasks[3] = {spawn(use_errno, (void *)100), spawn(use_errno, (void *)200),
			       spawn(fork_with_errno, NULL)};

	errno = 5;
	for (int i = 0; i < 3; i++)
		join(tasks[i]);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
