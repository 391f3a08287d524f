/* SPDX-License-Identifier: MIT */
/* The recursion is right but for its shared count of leaves. */
/* races: count_leaf, count_leaf */
#include "../tsan.h"

static long leaves;

KEPT static void count_leaf(void)
{
	RACE(leaves++);
}

static void *descend(void *arg)
{
	long depth = (long)arg;
	weft_forked fork;

	if (depth == 0) {
		count_leaf();
		return NULL;
	}
	weft_fork(&fork, descend, (void *)(depth - 1));
	descend((void *)(depth - 1));
	weft_fork_join(&fork);
	return NULL;
}

static void *start(void *arg)
{
	descend((void *)3);
	return arg;
}

int main(void)
{
	run(start);
	return leaves == 0;
}
