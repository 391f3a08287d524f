/* SPDX-License-Identifier: MIT */
/* Two forks, joined in the order in which they run inline on their parent's stack. They are
 * strangers all the same. */
/* races: visit, visit */
#include "../tsan.h"

static long visits;

KEPT static void *visit(void *arg)
{
	RACE(visits++);
	return arg;
}

static void *start(void *arg)
{
	weft_forked first, second;

	weft_fork(&first, visit, NULL);
	weft_fork(&second, visit, NULL);
	weft_fork_join(&second);
	weft_fork_join(&first);
	return arg;
}

int main(void)
{
	run(start);
	return visits != 2;
}
