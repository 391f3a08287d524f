/* SPDX-License-Identifier: MIT */
/*
 * Objects for synchronisation on tasks' stacks: what lies there later is something else, and has
 * nothing to do with what they ordered. Plain data and other objects take their places.
 */
#include "../tsan.h"

union place {
	weft_mutex mutex;
	weft_sem sem;
	weft_latch latch;
	weft_event event;
	weft_rwlock rwlock;
	long numbers[8];
};

static void *use_latch(void *arg)
{
	weft_latch_count_down(arg, 1);
	return NULL;
}

static void *use_mutex(void *arg)
{
	weft_mutex_lock(arg);
	weft_mutex_unlock(arg);
	return NULL;
}

static void *work(void *arg)
{
	union place place;

	weft_latch_init(&place.latch, 1);
	weft_task *task = spawn(use_latch, &place);
	MUST(weft_latch_wait(&place.latch) == 0);
	weft_latch_fini(&place.latch);
	memset(&place, 1, sizeof place);
	weft_mutex_init(&place.mutex);
	weft_task *other = spawn(use_mutex, &place);
	use_mutex(&place);
	join(other);
	weft_mutex_fini(&place.mutex);
	for (int i = 0; i < 8; i++)
		place.numbers[i] = i;
	join(task);
	return arg;
}

static void *start(void *arg)
{
	for (int i = 0; i < 6; i++)
		spawn_detached(work, NULL);
	return arg;
}

int main(void)
{
	run(start);
	return 0;
}
