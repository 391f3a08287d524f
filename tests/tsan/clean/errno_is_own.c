/* SPDX-License-Identifier: MIT */
/* errno is the task's, though it lies in memory that its thread's tasks share. */
#include "../tsan.h"

/* Functions of their own: the C library lets the compiler keep errno's address, and a yield may
 * come back on another thread. */
KEPT static int get_errno(void)
{
	return errno;
}

KEPT static void set_errno(int value)
{
	errno = value;
}

static void *use_errno(void *arg)
{
	MUST(get_errno() == 0);
	for (int i = 0; i < 10; i++) {
		set_errno((int)(long)arg + i);
		weft_yield();
		MUST(get_errno() == (int)(long)arg + i);
	}
	return NULL;
}

static void *fork_with_errno(void *arg)
{
	weft_forked fork;

	set_errno(7);
	weft_fork(&fork, use_errno, (void *)300);
	weft_fork_join(&fork);
	MUST(get_errno() == 7);
	return arg;
}

static void *start(void *arg)
{
	weft_task *tasks[3] = {spawn(use_errno, (void *)100), spawn(use_errno, (void *)200),
			       spawn(fork_with_errno, NULL)};

	set_errno(5);
	for (int i = 0; i < 3; i++)
		join(tasks[i]);
	MUST(get_errno() == 5);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
