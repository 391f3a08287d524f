/* SPDX-License-Identifier: MIT */
/* Gives up waiting for the group, and reads what it was to make. */
/* races: build, inspect */
#include "../tsan.h"

static int built;
static struct unseen inspected;

KEPT static void *build(void *arg)
{
	RACE(built = 1);
	unseen_await(&inspected, 1);
	return arg;
}

KEPT static int inspect(void)
{
	int seen;

	RACE(seen = built);
	return seen;
}

static void *start(void *arg)
{
	weft_group group;

	weft_group_init(&group);
	MUST(weft_group_spawn(&group, build, NULL) == 0);
	MUST(weft_group_wait_until(&group, weft_after(1000000)) == -ETIMEDOUT);
	printf("%d\n", inspect());
	unseen_signal(&inspected);
	MUST(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
