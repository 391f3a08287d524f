/* SPDX-License-Identifier: MIT */
/* One task of the group fails, the others are cancelled; all tidy up before the group's end. */
#include "../tsan.h"

static void *fail(void *arg)
{
	*(long *)arg = 1;
	return (void *)-EIO;
}

static void *serve(void *arg)
{
	while (weft_sleep(1000000000) != -ECANCELED)
		;
	*(long *)arg = 1;
	return NULL;
}

static void *start(void *arg)
{
	long ended[3] = {0, 0, 0};
	weft_group group;

	weft_group_init(&group);
	for (int i = 0; i < 3; i++)
		MUST(weft_group_spawn(&group, i == 1 ? fail : serve, &ended[i]) == 0);
	MUST(weft_group_wait(&group) == -EIO);
	weft_group_fini(&group);
	for (int i = 0; i < 3; i++)
		MUST(ended[i]++ == 1);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
