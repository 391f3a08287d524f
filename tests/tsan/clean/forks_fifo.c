/* SPDX-License-Identifier: MIT */
/* Forks that are joined in the order in which they were made, which is not the inline one; then
 * again in the same storage. */
#include "../tsan.h"

static void *count(void *arg)
{
	++*(long *)arg;
	return arg;
}

static void *start(void *arg)
{
	weft_forked forks[3];
	long counts[3] = {0, 0, 0};

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 3; i++)
			weft_fork(&forks[i], count, &counts[i]);
		for (int i = 0; i < 3; i++)
			MUST(weft_fork_join(&forks[i]) == &counts[i]);
		for (int i = 0; i < 3; i++)
			MUST(counts[i] == round + 1);
	}
	memset(forks, 0, sizeof forks);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
