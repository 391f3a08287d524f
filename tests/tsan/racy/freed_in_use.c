/* SPDX-License-Identifier: MIT */
/* Frees what another task has just read, and would perhaps read again. */
/* races: read_list, drop_list */
#include "../tsan.h"

static struct unseen was_read;

KEPT static void *read_list(void *arg)
{
	const int *list = arg;

	MUST(list[3] == 4);
	unseen_signal(&was_read);
	return NULL;
}

KEPT static void drop_list(int *list)
{
	free(list);
}

static void *start(void *arg)
{
	int *list = calloc(4, sizeof *list);

	list[3] = 4;
	weft_task *task = spawn(read_list, list);
	unseen_await(&was_read, 1);
	drop_list(list);
	join(task);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
