/* SPDX-License-Identifier: MIT */
/* Polls a volatile flag. */
/* races: stop, stopped */
#include "../tsan.h"

static volatile bool flag;
static struct unseen raised;

KEPT static void *stop(void *arg)
{
	RACE(flag = true);
	unseen_signal(&raised);
	return arg;
}

KEPT static bool stopped(void)
{
	bool seen;

	RACE(seen = flag);
	return seen;
}

static void *serve(void *arg)
{
	while (!stopped())
		unseen_await(&raised, 1); /* few polls: the tool remembers only so many */
	return arg;
}

static void *start(void *arg)
{
	weft_task *server = spawn(serve, NULL), *stopper = spawn(stop, NULL);

	join(server);
	join(stopper);
	return arg;
}

int main(void)
{
	run(start);
	return !flag;
}
