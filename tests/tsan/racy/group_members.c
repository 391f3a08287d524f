/* SPDX-License-Identifier: MIT */
/* Tasks of one group are strangers to each other. */
/* races: crawl, crawl */
#include "../tsan.h"

static int pages;

KEPT static void *crawl(void *arg)
{
	RACE(pages++);
	return arg;
}

static void *start(void *arg)
{
	weft_group group;

	weft_group_init(&group);
	for (int i = 0; i < 2; i++)
		MUST(weft_group_spawn(&group, crawl, NULL) == 0);
	MUST(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	return arg;
}

int main(void)
{
	run(start);
	return pages != 2;
}
