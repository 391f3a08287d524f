/* SPDX-License-Identifier: MIT */
/* What is a task's own stays its own over yields, sleeps and joins, on whatever thread. */
#include "../tsan.h"

static void *child(void *arg)
{
	weft_yield();
	return arg;
}

static void *live(void *arg)
{
	int numbers[64] = {0};
	int *heap = calloc(16, sizeof *heap);

	for (int i = 0; i < 64; i++) {
		numbers[i] = i;
		heap[i % 16] += numbers[i];
		if (i % 8 == 0)
			weft_yield();
		if (i == 32)
			MUST(weft_sleep(10000) == 0);
		if (i == 48)
			join(spawn(child, NULL));
	}
	MUST(numbers[63] == 63 && heap[15] == 15 + 31 + 47 + 63);
	free(heap);
	return arg;
}

static void *start(void *arg)
{
	weft_task *tasks[4];

	for (int i = 0; i < 4; i++)
		tasks[i] = spawn(live, NULL);
	for (int i = 0; i < 4; i++)
		join(tasks[i]);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
