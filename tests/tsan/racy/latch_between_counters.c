/* SPDX-License-Identifier: MIT */
/* Both count the same latch down. That orders them before the waiter, not one after the
 * other. */
/* races: tally, tally */
#include "../tsan.h"

static weft_latch latch = WEFT_LATCH_INIT(2);
static int tallied;
static struct unseen counted;

KEPT static void tally(void)
{
	RACE(tallied++);
}

static void *counter(void *arg)
{
	weft_latch_count_down(&latch, 1);
	return arg;
}

static void *tally_first(void *arg)
{
	tally();
	counter(arg);
	unseen_signal(&counted);
	return arg;
}

static void *tally_last(void *arg)
{
	unseen_await(&counted, 1);
	counter(arg);
	tally();
	return arg;
}

static void *start(void *arg)
{
	weft_task *first = spawn(tally_first, NULL), *second = spawn(tally_last, NULL);

	MUST(weft_latch_wait(&latch) == 0);
	join(first);
	join(second);
	return arg;
}

int main(void)
{
	run(start);
	return tallied != 2;
}
