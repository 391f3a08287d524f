/* SPDX-License-Identifier: MIT */
/* A parallel sum over an array: forks that mostly run inline on their parent's stack. */
#include "../tsan.h"

struct range {
	int *numbers;
	size_t count;
	long sum;
};

static void *sum_up(void *arg)
{
	struct range *range = arg;

	if (range->count == 1) {
		range->sum = range->numbers[0]++;
		return NULL;
	}
	struct range lower = {range->numbers, range->count / 2, 0};
	struct range upper = {range->numbers + lower.count, range->count - lower.count, 0};
	weft_forked fork;
	weft_fork(&fork, sum_up, &upper);
	sum_up(&lower);
	weft_fork_join(&fork);
	range->sum = lower.sum + upper.sum;
	return NULL;
}

static void *start(void *arg)
{
	int numbers[32];
	struct range all = {numbers, 32, 0};

	for (int i = 0; i < 32; i++)
		numbers[i] = i;
	sum_up(&all);
	MUST(all.sum == 496 && numbers[31] == 32);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
