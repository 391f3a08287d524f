/* SPDX-License-Identifier: MIT */
/* A cancelled task tidies up, and its joiner sees that it has. */
#include "../tsan.h"

static weft_sem never = WEFT_SEM_INIT(0);

static void *serve(void *arg)
{
	MUST(weft_sem_acquire(&never) == -ECANCELED);
	MUST(weft_sleep(1000000000) == -ECANCELED && weft_cancelled());
	weft_cancel_mask();
	MUST(weft_sleep(1000) == 0);
	weft_cancel_unmask();
	*(long *)arg = 1;
	return arg;
}

static void *start(void *arg)
{
	long tidy[3] = {0, 0, 0};
	weft_task *tasks[3];

	for (int i = 0; i < 3; i++)
		tasks[i] = spawn(serve, &tidy[i]);
	weft_yield();
	for (int i = 0; i < 3; i++)
		MUST(weft_cancel(tasks[i]) == 0);
	for (int i = 0; i < 3; i++) {
		join(tasks[i]);
		MUST(tidy[i]++ == 1);
	}
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
