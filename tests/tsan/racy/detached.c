/* SPDX-License-Identifier: MIT */
/* Detaches a task that has ended: its result is not ordered by that. */
/* races: leave_result, read_result */
#include "../tsan.h"

static int result;
static struct unseen ended;

KEPT static void *leave_result(void *arg)
{
	result = 1;
	unseen_signal(&ended);
	return arg;
}

KEPT static int read_result(void)
{
	return result;
}

static void *start(void *arg)
{
	weft_task *task = spawn(leave_result, NULL);

	unseen_await(&ended, 1);
	MUST(weft_detach(task) == 0);
	MUST(read_result() == 1);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
