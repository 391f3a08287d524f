/* SPDX-License-Identifier: MIT */
/* A join that has given up has joined nothing. */
/* races: produce, take_early */
#include "../tsan.h"

static int product;
static struct unseen taken;

KEPT static void *produce(void *arg)
{
	RACE(product = 1);
	unseen_await(&taken, 1);
	return arg;
}

KEPT static int take_early(void)
{
	int seen;

	RACE(seen = product);
	return seen;
}

static void *start(void *arg)
{
	weft_task *task = spawn(produce, NULL);

	MUST(weft_join_until(task, NULL, weft_after(1000000)) == -ETIMEDOUT);
	printf("%d\n", take_early());
	unseen_signal(&taken);
	join(task);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
