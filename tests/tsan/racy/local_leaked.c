/* SPDX-License-Identifier: MIT */
/* A task-local value is given to another task, and its owner goes on using it. */
/* races: use_own, use_leaked */
#include "../tsan.h"

static weft_local key;

KEPT static void use_own(void)
{
	RACE(++*(long *)weft_local_get(key));
}

KEPT static void *use_leaked(void *arg)
{
	RACE(++*(long *)arg);
	return NULL;
}

static void *owner(void *arg)
{
	long *value = malloc(sizeof *value);

	*value = 0;
	MUST(weft_local_set(key, value) == 0);
	weft_task *task = spawn(use_leaked, value);
	use_own();
	join(task);
	return arg;
}

int main(void)
{
	MUST(weft_local_create(free, &key) == 0);
	run(owner);
	return 0;
}
