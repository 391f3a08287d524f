/* SPDX-License-Identifier: MIT */
/* Waits that give up order nothing, and disturb nobody: their frames are used for something else at
 * once. */
#include "../tsan.h"

static weft_sem sem = WEFT_SEM_INIT(0);
static weft_latch latch = WEFT_LATCH_INIT(2), never = WEFT_LATCH_INIT(1);
static weft_event event = WEFT_EVENT_INIT;
static weft_mutex mutex = WEFT_MUTEX_INIT;
static weft_cond cond = WEFT_COND_INIT;

KEPT static void use_stack(void)
{
	char bytes[400];

	memset(bytes, 1, sizeof bytes);
	weft_yield();
	MUST(bytes[399] == 1);
}

static void *wait_in_vain(void *arg)
{
	MUST(weft_sem_acquire_until(&sem, weft_after(10000)) == -ETIMEDOUT);
	use_stack();
	MUST(weft_latch_wait_until(&never, weft_after(10000)) == -ETIMEDOUT);
	use_stack();
	MUST(weft_event_wait_until(&event, weft_after(10000)) == -ETIMEDOUT);
	use_stack();
	weft_mutex_lock(&mutex);
	MUST(weft_cond_wait_until(&cond, &mutex, weft_after(10000)) == -ETIMEDOUT);
	weft_mutex_unlock(&mutex);
	use_stack();
	weft_latch_count_down(&latch, 1);
	return arg;
}

static void *start(void *arg)
{
	weft_task *tasks[2] = {spawn(wait_in_vain, NULL), spawn(wait_in_vain, NULL)};

	MUST(weft_latch_wait(&latch) == 0);
	for (int i = 0; i < 2; i++)
		while (weft_join_until(tasks[i], NULL, weft_after(10000)) != 0)
			use_stack();
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
