/* SPDX-License-Identifier: MIT */
/* Tasks that nothing orders follow each other on the same stacks, with arrays and heap blocks in
 * the same places. */
#include "../tsan.h"

KEPT static long use_stack(long seed)
{
	long array[100];

	for (int i = 0; i < 100; i++)
		array[i] = seed + i;
	weft_yield();
	for (int i = 0; i < 100; i++)
		seed += array[i];
	return seed;
}

static void *work(void *arg)
{
	long *block = malloc(sizeof *block * 8);

	block[0] = use_stack(1);
	MUST(block[0] == 5051);
	free(block);
	return arg;
}

static void *start(void *arg)
{
	for (int i = 0; i < 24; i++) {
		spawn_detached(work, NULL);
		if (i % 4 == 0)
			weft_yield();
	}
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
