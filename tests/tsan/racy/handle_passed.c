/* SPDX-License-Identifier: MIT */
/* A handle passes by a plain variable from its spawner to its joiner. The task's end is no order
 * between those two. */
/* races: put_handle, get_handle */
#include "../tsan.h"

static weft_task *handle;
static struct unseen put;

KEPT static void put_handle(weft_task *task)
{
	handle = task;
}

KEPT static weft_task *get_handle(void)
{
	return handle;
}

static void *work(void *arg)
{
	return arg;
}

static void *spawner(void *arg)
{
	put_handle(spawn(work, NULL));
	unseen_signal(&put);
	return arg;
}

static void *joiner(void *arg)
{
	unseen_await(&put, 1);
	join(get_handle());
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(spawner, NULL), *second = spawn(joiner, NULL);

	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
