/* SPDX-License-Identifier: MIT */
/* Two threads run a runtime each, one after the other. Beginning and ending one is not a lock of
 * theirs. */
/* races: tidy, tidy */
#include "../tsan.h"

static int tidied;
static struct unseen ran;

KEPT static void tidy(void)
{
	tidied++;
}

static void *nothing(void *arg)
{
	return arg;
}

static void *run_first(void *arg)
{
	tidy();
	run(nothing);
	unseen_signal(&ran);
	return arg;
}

static void *run_last(void *arg)
{
	unseen_await(&ran, 1);
	run(nothing);
	tidy();
	return arg;
}

int main(void)
{
	run(nothing); /* all coroutines come after the first one's creator */
	pthread_t first = thread_start(run_first, NULL), last = thread_start(run_last, NULL);

	pthread_join(first, NULL);
	pthread_join(last, NULL);
	return tidied != 2;
}
