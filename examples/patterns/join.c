/* SPDX-License-Identifier: MIT */
/*
 * Does two or three things at once and collects all results. A fork needs no memory of its own and
 * cannot fail. The caller does the last part itself. This is the cheapest way to run something in
 * parallel.
 *
 * Go:     var g sync.WaitGroup; g.Go(func() { a = sum(left) }); b = sum(right); g.Wait()
 * tokio:  let (a, b) = tokio::join!(sum(left), sum(right));
 */
#include "../example.h"

#include <weft/weft.h>

enum { COUNT = 100000, GRAIN = 1000 };

struct part {
	const int *begin, *end;
	long sum;
};

static void *sum(void *arg)
{
	struct part *part = arg;

	if (part->end - part->begin <= GRAIN) {
		for (const int *n = part->begin; n < part->end; n++)
			part->sum += *n;
		return NULL;
	}

	const int *middle = part->begin + (part->end - part->begin) / 2;
	struct part left = {part->begin, middle, 0}, right = {middle, part->end, 0};
	weft_forked fork;

	weft_fork(&fork, sum, &left); /* another worker may take it ... */
	sum(&right);
	weft_fork_join(&fork); /* ... else it runs here */
	part->sum = left.sum + right.sum;
	return NULL;
}

int main(void)
{
	static int numbers[COUNT];
	struct part all = {numbers, numbers + COUNT, 0};

	for (int i = 0; i < COUNT; i++)
		numbers[i] = i;
	CHECK(weft_run(sum, &all, NULL) == 0);
	printf("the sum is %ld\n", all.sum);
	CHECK(all.sum == (long)COUNT * (COUNT - 1) / 2);
	return EXIT_SUCCESS;
}
