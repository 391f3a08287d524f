/* SPDX-License-Identifier: MIT */
/* Every task has its own value of a key, an inline fork too; destructors run in the task, before
 * its joiner goes on. */
#include "../tsan.h"

static weft_local key;
static long destroyed;

static void destroy(void *value)
{
	*(long *)value = 0;
	free(value);
	destroyed++; /* ordered: each of the tasks is joined before the next one */
}

static void *use(void *arg)
{
	MUST(!weft_local_get(key));
	long *value = malloc(sizeof *value);
	*value = (long)arg;
	MUST(weft_local_set(key, value) == 0);
	for (int i = 0; i < 5; i++) {
		++*(long *)weft_local_get(key);
		weft_yield();
	}
	MUST(*(long *)weft_local_get(key) == (long)arg + 5);
	return NULL;
}

static void *start(void *arg)
{
	weft_forked fork;

	for (long i = 0; i < 3; i++) {
		join(spawn(use, (void *)i));
		weft_fork(&fork, use, (void *)i);
		weft_fork_join(&fork);
		MUST(destroyed == 2 * (i + 1));
	}
	return arg;
}

int main(void)
{
	MUST(weft_local_create(destroy, &key) == 0);
	run(start);
	MUST(weft_local_delete(key) == 0);
	return destroyed != 6;
}
