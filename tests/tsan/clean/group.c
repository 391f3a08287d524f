/* SPDX-License-Identifier: MIT */
/* Groups, one inside of the other: what their tasks did comes before the return of the wait. */
#include "../tsan.h"

static void *leaf(void *arg)
{
	weft_yield();
	*(long *)arg = 1;
	return NULL;
}

static void *branch(void *arg)
{
	long places[2];
	weft_group group;

	weft_group_init(&group);
	for (int i = 0; i < 2; i++)
		MUST(weft_group_spawn(&group, leaf, &places[i]) == 0);
	MUST(weft_group_wait(&group) == 0);
	weft_group_fini(&group);
	*(long *)arg = places[0] + places[1];
	return NULL;
}

static void *sleep_and_write(void *arg)
{
	MUST(weft_sleep_until(WEFT_FOREVER) == -ECANCELED);
	*(long *)arg = 3;
	return NULL;
}

static void *start(void *arg)
{
	long sums[3] = {0, 0, 0};
	weft_group group;

	weft_group_init(&group);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3; i++)
			MUST(weft_group_spawn(&group, branch, &sums[i]) == 0);
		while (weft_group_wait_until(&group, weft_after(100000)) == -ETIMEDOUT)
			;
		for (int i = 0; i < 3; i++)
			MUST(sums[i]-- == 2);
	}
	MUST(weft_group_spawn(&group, sleep_and_write, &sums[0]) == 0);
	MUST(weft_group_wait_or_cancel_until(&group, weft_after(100000)) == -ETIMEDOUT);
	MUST(sums[0] == 3);
	weft_group_fini(&group);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
