/* SPDX-License-Identifier: MIT */
/*
 * Computes one value from many, in parallel. Each part of the range has an accumulator of its own,
 * and the accumulators are joined. Nothing is shared, so nothing is locked.
 *
 * Go:     a goroutine and a partial result for each part, then a loop over the results
 * tokio:  has none (rayon: numbers.par_iter().fold(...).reduce(...))
 */
#include "../example.h"

#include <weft/weft.h>

enum { COUNT = 200000 };

struct summary {
	int min, max;
	long sum;
};

static void add_part(size_t lo, size_t hi, void *acc, void *numbers)
{
	struct summary *s = acc;

	for (const int *n = (int *)numbers + lo; n < (int *)numbers + hi; n++) {
		s->min = *n < s->min ? *n : s->min;
		s->max = *n > s->max ? *n : s->max;
		s->sum += *n;
	}
}

/* Adds the summary of the part just behind. */
static void join(void *acc, const void *right, void *numbers)
{
	struct summary *s = acc;
	const struct summary *r = right;

	(void)numbers;
	s->min = r->min < s->min ? r->min : s->min;
	s->max = r->max > s->max ? r->max : s->max;
	s->sum += r->sum;
}

static void *run(void *numbers)
{
	struct summary s = {INT32_MAX, INT32_MIN, 0}; /* of no numbers */

	CHECK(weft_reduce(0, COUNT, 0, add_part, join, numbers, &s, sizeof(s), &s) == 0);
	printf("from %d to %d, in all %ld\n", s.min, s.max, s.sum);
	CHECK(s.min == 0 && s.max == COUNT - 1 && s.sum == (COUNT - 1L) * COUNT / 2);
	return NULL;
}

int main(void)
{
	static int numbers[COUNT];

	for (int i = 0; i < COUNT; i++)
		numbers[i] = (int)(i * 7919L % COUNT);
	CHECK(weft_run(run, numbers, NULL) == 0);
	return EXIT_SUCCESS;
}
